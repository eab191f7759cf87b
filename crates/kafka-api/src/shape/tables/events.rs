//! The requests about events: versions, topics, appending, reading, positions.

use super::parts::{BOOL, INT8, INT16, INT32, INT64, INTS, UUID, always, between, since, until};
use crate::shape::field::Shape;

pub(crate) const API_VERSIONS: Shape = Shape::Struct(
    &[
        since(3, Shape::Text),
        since(3, Shape::Text),
        since(5, Shape::Text),
        since(5, INT32),
    ],
    &[],
);

pub(crate) const METADATA: Shape = Shape::Struct(
    &[
        always(Shape::Array(&Shape::Struct(
            &[since(10, UUID), always(Shape::Text)],
            &[],
        ))),
        since(4, BOOL),
        between(8, 10, BOOL),
        since(8, BOOL),
    ],
    &[],
);

pub(crate) const PRODUCE: Shape = Shape::Struct(
    &[
        always(Shape::Text),
        always(INT16),
        always(INT32),
        always(Shape::Array(&Shape::Struct(
            &[
                until(12, Shape::Text),
                since(13, UUID),
                always(Shape::Array(&Shape::Struct(&[always(INT32), always(Shape::Blob)], &[]))),
            ],
            &[],
        ))),
    ],
    &[],
);

const FETCH_PARTITION: Shape = Shape::Struct(
    &[
        always(INT32),
        since(9, INT32),
        always(INT64),
        since(12, INT32),
        since(5, INT64),
        always(INT32),
    ],
    &[(0, UUID), (1, INT64)],
);

pub(crate) const FETCH: Shape = Shape::Struct(
    &[
        until(14, INT32),
        always(INT32),
        always(INT32),
        always(INT32),
        always(INT8),
        since(7, INT32),
        since(7, INT32),
        always(Shape::Array(&Shape::Struct(
            &[
                until(12, Shape::Text),
                since(13, UUID),
                always(Shape::Array(&FETCH_PARTITION)),
            ],
            &[],
        ))),
        since(
            7,
            Shape::Array(&Shape::Struct(
                &[until(12, Shape::Text), since(13, UUID), always(INTS)],
                &[],
            )),
        ),
        since(11, Shape::Text),
    ],
    &[
        (0, Shape::Text),
        (1, Shape::Struct(&[since(15, INT32), since(15, INT64)], &[])),
    ],
);

pub(crate) const LIST_OFFSETS: Shape = Shape::Struct(
    &[
        always(INT32),
        since(2, INT8),
        always(Shape::Array(&Shape::Struct(
            &[
                always(Shape::Text),
                always(Shape::Array(&Shape::Struct(
                    &[always(INT32), since(4, INT32), always(INT64)],
                    &[],
                ))),
            ],
            &[],
        ))),
        since(10, INT32),
    ],
    &[],
);

pub(crate) const OFFSET_FOR_LEADER_EPOCH: Shape = Shape::Struct(
    &[
        since(3, INT32),
        always(Shape::Array(&Shape::Struct(
            &[
                always(Shape::Text),
                always(Shape::Array(&Shape::Struct(
                    &[always(INT32), always(INT32), always(INT32)],
                    &[],
                ))),
            ],
            &[],
        ))),
    ],
    &[],
);

pub(crate) const DELETE_RECORDS: Shape = Shape::Struct(
    &[
        always(Shape::Array(&Shape::Struct(
            &[
                always(Shape::Text),
                always(Shape::Array(&Shape::Struct(&[always(INT32), always(INT64)], &[]))),
            ],
            &[],
        ))),
        always(INT32),
    ],
    &[],
);
