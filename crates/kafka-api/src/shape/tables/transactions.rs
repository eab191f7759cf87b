//! The requests of producers with transactions, and about them.

use super::parts::{BOOL, INT8, INT16, INT32, INT64, INTS, TEXTS, UUID, always, since, until};
use crate::shape::field::Shape;

pub(crate) const INIT_PRODUCER_ID: Shape = Shape::Struct(
    &[always(Shape::Text), always(INT32), since(3, INT64), since(3, INT16)],
    &[],
);

const TRANSACTION_TOPICS: Shape = Shape::Array(&Shape::Struct(&[always(Shape::Text), always(INTS)], &[]));

pub(crate) const ADD_PARTITIONS_TO_TXN: Shape = Shape::Struct(
    &[
        since(
            4,
            Shape::Array(&Shape::Struct(
                &[
                    always(Shape::Text),
                    always(INT64),
                    always(INT16),
                    always(BOOL),
                    always(TRANSACTION_TOPICS),
                ],
                &[],
            )),
        ),
        until(3, Shape::Text),
        until(3, INT64),
        until(3, INT16),
        until(3, TRANSACTION_TOPICS),
    ],
    &[],
);

pub(crate) const ADD_OFFSETS_TO_TXN: Shape = Shape::Struct(
    &[always(Shape::Text), always(INT64), always(INT16), always(Shape::Text)],
    &[],
);

pub(crate) const END_TXN: Shape =
    Shape::Struct(&[always(Shape::Text), always(INT64), always(INT16), always(BOOL)], &[]);

pub(crate) const TXN_OFFSET_COMMIT: Shape = Shape::Struct(
    &[
        always(Shape::Text),
        always(Shape::Text),
        always(INT64),
        always(INT16),
        since(3, INT32),
        since(3, Shape::Text),
        since(3, Shape::Text),
        always(Shape::Array(&Shape::Struct(
            &[
                until(5, Shape::Text),
                since(6, UUID),
                always(Shape::Array(&Shape::Struct(
                    &[always(INT32), always(INT64), since(2, INT32), always(Shape::Text)],
                    &[],
                ))),
            ],
            &[],
        ))),
    ],
    &[],
);

pub(crate) const WRITE_TXN_MARKERS: Shape = Shape::Struct(
    &[always(Shape::Array(&Shape::Struct(
        &[
            always(INT64),
            always(INT16),
            always(BOOL),
            always(TRANSACTION_TOPICS),
            always(INT32),
            since(2, INT8),
        ],
        &[],
    )))],
    &[],
);

pub(crate) const DESCRIBE_PRODUCERS: Shape = Shape::Struct(&[always(TRANSACTION_TOPICS)], &[]);

pub(crate) const DESCRIBE_TRANSACTIONS: Shape = Shape::Struct(&[always(TEXTS)], &[]);

pub(crate) const LIST_TRANSACTIONS: Shape = Shape::Struct(
    &[
        always(TEXTS),
        always(Shape::Array(&INT64)),
        since(1, INT64),
        since(2, Shape::Text),
    ],
    &[],
);
