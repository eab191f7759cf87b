//! The requests of administrators: topics, configurations, the cluster, quotas.

use super::parts::{BOOL, FLOAT64, INT8, INT16, INT32, INTS, NAMED_PARTITIONS, TEXTS, UUID, always, since, until};
use crate::shape::field::Shape;

pub(crate) const CREATE_TOPICS: Shape = Shape::Struct(
    &[
        always(Shape::Array(&Shape::Struct(
            &[
                always(Shape::Text),
                always(INT32),
                always(INT16),
                always(Shape::Array(&Shape::Struct(&[always(INT32), always(INTS)], &[]))),
                always(Shape::Array(&Shape::Struct(
                    &[always(Shape::Text), always(Shape::Text)],
                    &[],
                ))),
            ],
            &[],
        ))),
        always(INT32),
        always(BOOL),
    ],
    &[],
);

pub(crate) const DELETE_TOPICS: Shape = Shape::Struct(
    &[
        since(
            6,
            Shape::Array(&Shape::Struct(&[always(Shape::Text), always(UUID)], &[])),
        ),
        until(5, TEXTS),
        always(INT32),
    ],
    &[],
);

pub(crate) const DESCRIBE_CONFIGS: Shape = Shape::Struct(
    &[
        always(Shape::Array(&Shape::Struct(
            &[always(INT8), always(Shape::Text), always(TEXTS)],
            &[],
        ))),
        always(BOOL),
        since(3, BOOL),
    ],
    &[],
);

pub(crate) const ALTER_CONFIGS: Shape = Shape::Struct(
    &[
        always(Shape::Array(&Shape::Struct(
            &[
                always(INT8),
                always(Shape::Text),
                always(Shape::Array(&Shape::Struct(
                    &[always(Shape::Text), always(Shape::Text)],
                    &[],
                ))),
            ],
            &[],
        ))),
        always(BOOL),
    ],
    &[],
);

pub(crate) const INCREMENTAL_ALTER_CONFIGS: Shape = Shape::Struct(
    &[
        always(Shape::Array(&Shape::Struct(
            &[
                always(INT8),
                always(Shape::Text),
                always(Shape::Array(&Shape::Struct(
                    &[always(Shape::Text), always(INT8), always(Shape::Text)],
                    &[],
                ))),
            ],
            &[],
        ))),
        always(BOOL),
    ],
    &[],
);

pub(crate) const DESCRIBE_CLUSTER: Shape = Shape::Struct(&[always(BOOL), since(1, INT8), since(2, BOOL)], &[]);

pub(crate) const CREATE_PARTITIONS: Shape = Shape::Struct(
    &[
        always(Shape::Array(&Shape::Struct(
            &[
                always(Shape::Text),
                always(INT32),
                always(Shape::Array(&Shape::Struct(&[always(INTS)], &[]))),
            ],
            &[],
        ))),
        always(INT32),
        always(BOOL),
    ],
    &[],
);

const ACL: Shape = Shape::Struct(
    &[
        always(INT8),
        always(Shape::Text),
        always(INT8),
        always(Shape::Text),
        always(Shape::Text),
        always(INT8),
        always(INT8),
    ],
    &[],
);

pub(crate) const DESCRIBE_ACLS: Shape = ACL;

pub(crate) const CREATE_ACLS: Shape = Shape::Struct(&[always(Shape::Array(&ACL))], &[]);

pub(crate) const DELETE_ACLS: Shape = CREATE_ACLS;

pub(crate) const DESCRIBE_LOG_DIRS: Shape = Shape::Struct(&[always(Shape::Array(&NAMED_PARTITIONS))], &[]);

pub(crate) const ALTER_REPLICA_LOG_DIRS: Shape = Shape::Struct(
    &[always(Shape::Array(&Shape::Struct(
        &[always(Shape::Text), always(Shape::Array(&NAMED_PARTITIONS))],
        &[],
    )))],
    &[],
);

pub(crate) const ELECT_LEADERS: Shape = Shape::Struct(
    &[since(1, INT8), always(Shape::Array(&NAMED_PARTITIONS)), always(INT32)],
    &[],
);

pub(crate) const ALTER_PARTITION_REASSIGNMENTS: Shape = Shape::Struct(
    &[
        always(INT32),
        since(1, BOOL),
        always(Shape::Array(&Shape::Struct(
            &[
                always(Shape::Text),
                always(Shape::Array(&Shape::Struct(&[always(INT32), always(INTS)], &[]))),
            ],
            &[],
        ))),
    ],
    &[],
);

pub(crate) const LIST_PARTITION_REASSIGNMENTS: Shape =
    Shape::Struct(&[always(INT32), always(Shape::Array(&NAMED_PARTITIONS))], &[]);

pub(crate) const DESCRIBE_QUORUM: Shape = Shape::Struct(
    &[always(Shape::Array(&Shape::Struct(
        &[
            always(Shape::Text),
            always(Shape::Array(&Shape::Struct(&[always(INT32)], &[]))),
        ],
        &[],
    )))],
    &[],
);

pub(crate) const UPDATE_FEATURES: Shape = Shape::Struct(
    &[
        always(INT32),
        always(Shape::Array(&Shape::Struct(
            &[always(Shape::Text), always(INT16), until(0, BOOL), since(1, INT8)],
            &[],
        ))),
        since(1, BOOL),
    ],
    &[],
);

pub(crate) const DESCRIBE_TOPIC_PARTITIONS: Shape = Shape::Struct(
    &[
        always(Shape::Array(&Shape::Struct(&[always(Shape::Text)], &[]))),
        always(INT32),
        always(Shape::Optional(&Shape::Struct(
            &[always(Shape::Text), always(INT32)],
            &[],
        ))),
    ],
    &[],
);

pub(crate) const LIST_CONFIG_RESOURCES: Shape = Shape::Struct(&[since(1, Shape::Array(&INT8))], &[]);

pub(crate) const DESCRIBE_USER_SCRAM_CREDENTIALS: Shape = Shape::Struct(
    &[always(Shape::Array(&Shape::Struct(&[always(Shape::Text)], &[])))],
    &[],
);

pub(crate) const DESCRIBE_CLIENT_QUOTAS: Shape = Shape::Struct(
    &[
        always(Shape::Array(&Shape::Struct(
            &[always(Shape::Text), always(INT8), always(Shape::Text)],
            &[],
        ))),
        always(BOOL),
    ],
    &[],
);

pub(crate) const ALTER_CLIENT_QUOTAS: Shape = Shape::Struct(
    &[
        always(Shape::Array(&Shape::Struct(
            &[
                always(Shape::Array(&Shape::Struct(
                    &[always(Shape::Text), always(Shape::Text)],
                    &[],
                ))),
                always(Shape::Array(&Shape::Struct(
                    &[always(Shape::Text), always(FLOAT64), always(BOOL)],
                    &[],
                ))),
            ],
            &[],
        ))),
        always(BOOL),
    ],
    &[],
);
