//! The requests of consumer groups, of both protocols, and about them.

use super::parts::{BOOL, INT8, INT32, INT64, INTS, NAMED_PARTITIONS, TEXTS, UUID, always, since, until};
use crate::shape::field::Shape;

pub(crate) const FIND_COORDINATOR: Shape =
    Shape::Struct(&[until(3, Shape::Text), since(1, INT8), since(4, TEXTS)], &[]);

pub(crate) const JOIN_GROUP: Shape = Shape::Struct(
    &[
        always(Shape::Text),
        always(INT32),
        since(1, INT32),
        always(Shape::Text),
        since(5, Shape::Text),
        always(Shape::Text),
        always(Shape::Array(&Shape::Struct(
            &[always(Shape::Text), always(Shape::Blob)],
            &[],
        ))),
        since(8, Shape::Text),
    ],
    &[],
);

pub(crate) const SYNC_GROUP: Shape = Shape::Struct(
    &[
        always(Shape::Text),
        always(INT32),
        always(Shape::Text),
        since(3, Shape::Text),
        since(5, Shape::Text),
        since(5, Shape::Text),
        always(Shape::Array(&Shape::Struct(
            &[always(Shape::Text), always(Shape::Blob)],
            &[],
        ))),
    ],
    &[],
);

pub(crate) const HEARTBEAT: Shape = Shape::Struct(
    &[
        always(Shape::Text),
        always(INT32),
        always(Shape::Text),
        since(3, Shape::Text),
    ],
    &[],
);

pub(crate) const LEAVE_GROUP: Shape = Shape::Struct(
    &[
        always(Shape::Text),
        until(2, Shape::Text),
        since(
            3,
            Shape::Array(&Shape::Struct(
                &[always(Shape::Text), always(Shape::Text), since(5, Shape::Text)],
                &[],
            )),
        ),
    ],
    &[],
);

pub(crate) const OFFSET_COMMIT: Shape = Shape::Struct(
    &[
        always(Shape::Text),
        always(INT32),
        always(Shape::Text),
        since(7, Shape::Text),
        until(4, INT64),
        always(Shape::Array(&Shape::Struct(
            &[
                until(9, Shape::Text),
                since(10, UUID),
                always(Shape::Array(&Shape::Struct(
                    &[always(INT32), always(INT64), since(6, INT32), always(Shape::Text)],
                    &[],
                ))),
            ],
            &[],
        ))),
    ],
    &[],
);

pub(crate) const OFFSET_FETCH: Shape = Shape::Struct(
    &[
        until(7, Shape::Text),
        until(7, Shape::Array(&NAMED_PARTITIONS)),
        since(
            8,
            Shape::Array(&Shape::Struct(
                &[
                    always(Shape::Text),
                    since(9, Shape::Text),
                    since(9, INT32),
                    always(Shape::Array(&Shape::Struct(
                        &[until(9, Shape::Text), since(10, UUID), always(INTS)],
                        &[],
                    ))),
                ],
                &[],
            )),
        ),
        since(7, BOOL),
    ],
    &[],
);

pub(crate) const OFFSET_DELETE: Shape = Shape::Struct(
    &[
        always(Shape::Text),
        always(Shape::Array(&Shape::Struct(
            &[
                always(Shape::Text),
                always(Shape::Array(&Shape::Struct(&[always(INT32)], &[]))),
            ],
            &[],
        ))),
    ],
    &[],
);

pub(crate) const LIST_GROUPS: Shape = Shape::Struct(&[since(4, TEXTS), since(5, TEXTS)], &[]);

pub(crate) const DESCRIBE_GROUPS: Shape = Shape::Struct(&[always(TEXTS), since(3, BOOL)], &[]);

pub(crate) const DELETE_GROUPS: Shape = Shape::Struct(&[always(TEXTS)], &[]);

pub(crate) const CONSUMER_GROUP_HEARTBEAT: Shape = Shape::Struct(
    &[
        always(Shape::Text),
        always(Shape::Text),
        always(INT32),
        always(Shape::Text),
        always(Shape::Text),
        always(INT32),
        always(TEXTS),
        since(1, Shape::Text),
        always(Shape::Text),
        always(Shape::Array(&Shape::Struct(&[always(UUID), always(INTS)], &[]))),
    ],
    &[],
);

pub(crate) const GROUP_DESCRIBE: Shape = Shape::Struct(&[always(TEXTS), always(BOOL)], &[]);
