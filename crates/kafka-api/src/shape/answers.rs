//! The fields of those answers that are written in a version that the encoder does not know: from that version on, as [`super::tables`] have them of
//! requests.

use super::field::Shape;
use super::tables::parts::{BOOL, INT16, INT32, INT64, UUID, always, since};

pub(crate) const DELETE_GROUPS: Shape = Shape::Struct(
    &[
        always(INT32),
        always(Shape::Array(&Shape::Struct(
            &[always(Shape::Text), always(INT16), since(3, Shape::Text)],
            &[],
        ))),
    ],
    &[],
);

const LOG_DIR_TOPICS: Shape = Shape::Array(&Shape::Struct(
    &[
        always(Shape::Text),
        always(Shape::Array(&Shape::Struct(
            &[always(INT32), always(INT64), always(INT64), always(BOOL)],
            &[],
        ))),
    ],
    &[],
));

pub(crate) const DESCRIBE_LOG_DIRS: Shape = Shape::Struct(
    &[
        always(INT32),
        always(INT16),
        always(Shape::Array(&Shape::Struct(
            &[
                always(INT16),
                always(Shape::Text),
                always(LOG_DIR_TOPICS),
                always(INT64),
                always(INT64),
                since(5, BOOL),
            ],
            &[],
        ))),
    ],
    &[],
);

const SHARE_GROUP_OFFSETS: Shape = Shape::Array(&Shape::Struct(
    &[
        always(INT32),
        always(INT64),
        always(INT32),
        since(1, INT64),
        always(INT16),
        always(Shape::Text),
    ],
    &[],
));

const SHARE_GROUP_TOPICS: Shape = Shape::Array(&Shape::Struct(
    &[always(Shape::Text), always(UUID), always(SHARE_GROUP_OFFSETS)],
    &[],
));

pub(crate) const DESCRIBE_SHARE_GROUP_OFFSETS: Shape = Shape::Struct(
    &[
        always(INT32),
        always(Shape::Array(&Shape::Struct(
            &[
                always(Shape::Text),
                always(SHARE_GROUP_TOPICS),
                always(INT16),
                always(Shape::Text),
            ],
            &[],
        ))),
    ],
    &[],
);

const LEADER: Shape = Shape::Struct(&[always(INT32), always(INT32)], &[]);

const ACKNOWLEDGED: Shape = Shape::Array(&Shape::Struct(
    &[always(INT32), always(INT16), always(Shape::Text), always(LEADER)],
    &[],
));

pub(crate) const SHARE_ACKNOWLEDGE: Shape = Shape::Struct(
    &[
        always(INT32),
        always(INT16),
        always(Shape::Text),
        since(2, INT32),
        always(Shape::Array(&Shape::Struct(&[always(UUID), always(ACKNOWLEDGED)], &[]))),
        always(Shape::Array(&Shape::Struct(
            &[always(INT32), always(Shape::Text), always(INT32), always(Shape::Text)],
            &[],
        ))),
    ],
    &[],
);
