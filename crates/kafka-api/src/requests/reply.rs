//! How an answer is written, and why a request cannot be answered.

use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::{ApiKey, ResponseHeader};
use kafka_protocol::protocol::Encodable;

use super::{ahead, topic_ids};
use crate::answer::{Answer, Pending};
use crate::outgoing::OutFrame;
use crate::shape::ShapeError;

/// Why a request cannot be answered at all; the connection ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("a request has no whole header")]
    Header,
    #[error("a client asks for API {api_key}, which is not answered here and not advertised")]
    Api { api_key: i16 },
    #[error("a client asks for {api:?} in version {version}; it is answered in the versions that ApiVersions states")]
    Version { api: ApiKey, version: i16 },
    #[error("a {api:?} request of version {version} is malformed: {why}")]
    Shape { api: ApiKey, version: i16, why: ShapeError },
    #[error("a {api:?} request of version {version} is malformed: {why}")]
    Decode { api: ApiKey, version: i16, why: String },
    #[error("the answer to a {api:?} request of version {version} cannot be written: {why}")]
    Encode { api: ApiKey, version: i16, why: String },
}

/// Where an answer goes and how it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reply {
    pub(super) api: ApiKey,
    pub(super) version: i16,
    pub(super) correlation_id: i32,
}

impl Reply {
    pub(super) fn ready(self, response: &impl Encodable) -> Result<Pending, RequestError> {
        Ok(Pending::Ready(Answer::Frame(self.frame(response)?)))
    }

    /// Why an answer cannot be written.
    pub(super) fn refuse(self, why: impl ToString) -> RequestError {
        RequestError::Encode {
            api: self.api,
            version: self.version,
            why: why.to_string(),
        }
    }

    /// The beginning of an answer's frame: room for its length, and the header.
    pub(super) fn head(self) -> Result<BytesMut, RequestError> {
        let mut out = BytesMut::new();
        out.put_i32(0);
        let header = ResponseHeader::default().with_correlation_id(self.correlation_id);
        let header_version = self.api.response_header_version(self.version);
        header
            .encode(&mut out, header_version)
            .map_err(|error| self.refuse(error))?;
        Ok(out)
    }

    /// The frame of an answer: length, header, body.
    pub(super) fn frame(self, response: &impl Encodable) -> Result<OutFrame, RequestError> {
        let version = ahead::known(self.api, self.version);
        let body_bytes = response.compute_size(version).map_err(|error| self.refuse(error))?;
        let mut out = self.head()?;
        let head_bytes = out.len();
        out.reserve(body_bytes);
        response.encode(&mut out, version).map_err(|error| self.refuse(error))?;
        if version < self.version {
            let body = out.split_off(head_bytes);
            let body = match topic_ids::names_by_id(self.api, self.version) {
                true => topic_ids::answer(self.api, &body).ok_or_else(|| self.refuse("a topic has no id"))?,
                false => {
                    ahead::answer(self.api, body, self.version).ok_or_else(|| self.refuse("a field is missing"))?
                }
            };
            out.unsplit(body);
        }
        OutFrame::from(out)
            .close()
            .ok_or_else(|| self.refuse("it is larger than 2 GiB"))
    }
}
