//! The requests of share groups (KIP-932), and about them.

use super::parts::{BOOL, INT8, INT32, INT64, INTS, NAMED_PARTITIONS, TEXTS, UUID, always, since};
use crate::shape::field::Shape;

pub(crate) const SHARE_GROUP_HEARTBEAT: Shape = Shape::Struct(
    &[
        always(Shape::Text),
        always(Shape::Text),
        always(INT32),
        always(Shape::Text),
        always(TEXTS),
    ],
    &[],
);

const ACKNOWLEDGED: Shape = Shape::Array(&Shape::Struct(
    &[always(INT64), always(INT64), always(Shape::Array(&INT8))],
    &[],
));

const ACKNOWLEDGED_TOPICS: Shape = Shape::Array(&Shape::Struct(
    &[
        always(UUID),
        always(Shape::Array(&Shape::Struct(
            &[always(INT32), always(ACKNOWLEDGED)],
            &[],
        ))),
    ],
    &[],
));

pub(crate) const SHARE_FETCH: Shape = Shape::Struct(
    &[
        always(Shape::Text),
        always(Shape::Text),
        always(INT32),
        always(INT32),
        always(INT32),
        always(INT32),
        always(INT32),
        always(INT32),
        since(2, INT8),
        since(2, BOOL),
        always(ACKNOWLEDGED_TOPICS),
        always(Shape::Array(&Shape::Struct(&[always(UUID), always(INTS)], &[]))),
    ],
    &[],
);

pub(crate) const SHARE_ACKNOWLEDGE: Shape = Shape::Struct(
    &[
        always(Shape::Text),
        always(Shape::Text),
        always(INT32),
        since(2, BOOL),
        always(ACKNOWLEDGED_TOPICS),
    ],
    &[],
);

pub(crate) const DESCRIBE_SHARE_GROUP_OFFSETS: Shape = Shape::Struct(
    &[always(Shape::Array(&Shape::Struct(
        &[always(Shape::Text), always(Shape::Array(&NAMED_PARTITIONS))],
        &[],
    )))],
    &[],
);

pub(crate) const ALTER_SHARE_GROUP_OFFSETS: Shape = Shape::Struct(
    &[
        always(Shape::Text),
        always(Shape::Array(&Shape::Struct(
            &[
                always(Shape::Text),
                always(Shape::Array(&Shape::Struct(&[always(INT32), always(INT64)], &[]))),
            ],
            &[],
        ))),
    ],
    &[],
);

pub(crate) const DELETE_SHARE_GROUP_OFFSETS: Shape = Shape::Struct(
    &[
        always(Shape::Text),
        always(Shape::Array(&Shape::Struct(&[always(Shape::Text)], &[]))),
    ],
    &[],
);
