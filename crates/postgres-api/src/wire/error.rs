//! Why a connection's bytes could not be understood.

/// Why a connection's bytes could not be understood: it is told and closed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// The peer is gone.
    #[error("{0}")]
    Disconnected(#[from] std::io::Error),
    /// The bytes break the protocol.
    #[error("the message is malformed: {0}")]
    Malformed(&'static str),
    /// A message is larger than is taken.
    #[error("the message has {bytes} bytes, more than the {max} that are taken: send less at once or raise the limit")]
    TooLarge { bytes: usize, max: usize },
}
