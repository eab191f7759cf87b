//! The fields of every request answered here, version by version.
//!
//! Source: the message definitions of Apache Kafka (`clients/src/main/resources/common/message`).
//! A test holds each table against the decoder: what is made from the table, the decoder reads to the last byte.

use super::{Field, Shape};

const INT8: Shape = Shape::Fixed(1);
pub(super) const INT16: Shape = Shape::Fixed(2);
pub(super) const INT32: Shape = Shape::Fixed(4);
pub(super) const INT64: Shape = Shape::Fixed(8);
const FLOAT64: Shape = Shape::Fixed(8);
pub(super) const BOOL: Shape = Shape::Fixed(1);
pub(super) const UUID: Shape = Shape::Fixed(16);

pub(super) const fn always(shape: Shape) -> Field {
    between(0, i16::MAX, shape)
}

pub(super) const fn since(since: i16, shape: Shape) -> Field {
    between(since, i16::MAX, shape)
}

const fn until(until: i16, shape: Shape) -> Field {
    between(0, until, shape)
}

const fn between(since: i16, until: i16, shape: Shape) -> Field {
    Field { since, until, shape }
}

const TEXTS: Shape = Shape::Array(&Shape::Text);
const INTS: Shape = Shape::Array(&INT32);

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

const NAMED_PARTITIONS: Shape = Shape::Struct(&[always(Shape::Text), always(INTS)], &[]);

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

pub(crate) const LIST_GROUPS: Shape = Shape::Struct(&[since(4, TEXTS), since(5, TEXTS)], &[]);

pub(crate) const DESCRIBE_GROUPS: Shape = Shape::Struct(&[always(TEXTS), since(3, BOOL)], &[]);

pub(crate) const DELETE_GROUPS: Shape = Shape::Struct(&[always(TEXTS)], &[]);

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

pub(crate) const DESCRIBE_CLUSTER: Shape = Shape::Struct(&[always(BOOL), since(1, INT8), since(2, BOOL)], &[]);

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

/// An ACL; a filter of ACLs has the same fields, of which any may be absent.
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

/// Group ids, and whether to tell what may be done with them.
pub(crate) const GROUP_DESCRIBE: Shape = Shape::Struct(&[always(TEXTS), always(BOOL)], &[]);

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
