//! Where a history comes from: the log of a stopped program, or a running program by its HTTP door.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;

use headwater_catalog::lacking;
use headwater_eventlog::{EventLog, LogOptions, OpenError, Prefix, PrefixBatch, ReadError, StreamSettings, Until};
use headwater_host::Host;
use headwater_http_api::history::{HistoryFrame, HistoryHead, HistoryPartition, NO_LONGER_KEPT};

use crate::exit::{Exit, Failure, OrExit};
use crate::pieces::{LOG_FOLDER, cannot_open};

/// How many bytes of a refusal are read.
const REFUSAL_BYTES_MAX: u64 = 64 * 1024;

/// What can be done about events that are gone.
const WITH_GAPS: &str = "; --with-gaps takes what is left of such streams";

/// A history that is about to be copied.
pub struct History {
    /// What it is of.
    pub head: HistoryHead,
    batches: Batches,
}

enum Batches {
    /// Of a stopped program.
    Local(Box<(EventLog, Prefix)>),
    /// Of a running one.
    Remote(BufReader<TcpStream>),
}

impl History {
    /// Of the log in a data folder, whose program is stopped.
    pub fn of_folder(data: &Path, until: &Until, takes_gaps: bool) -> Result<History, Failure> {
        if !data.join(LOG_FOLDER).is_dir() {
            let why = format!(
                "there is no log in {}: name the data folder with --data",
                data.display()
            );
            return Err(Failure::new(Exit::Usage, why));
        }
        let (log, _) = EventLog::open(Host::real(), &data.join(LOG_FOLDER), LogOptions::default()).map_err(|error| match error {
            OpenError::InUse(folder) => {
                let why = format!("the data folder {folder} is in use by another process: stop that one, or ask it by its HTTP door, with --from");
                Failure::new(Exit::Taken, why)
            }
            error => cannot_open(error),
        })?;
        if let Some(why) = log.stopped() {
            return Err(Failure::new(
                Exit::Damaged,
                format!("the log is damaged: {why}; 'headwater log verify' says where"),
            ));
        }
        let prefix = log.prefix(until, |stream| lacking(stream, takes_gaps));
        let prefix = prefix.map_err(cannot_cut)?;
        let existing = log.streams().into_iter().map(|info| info.name).collect();
        Ok(History {
            head: HistoryHead::of(&prefix, existing),
            batches: Batches::Local(Box::new((log, prefix))),
        })
    }

    /// Of a running program whose HTTP door is at this address.
    pub fn of_program(address: &str, until: &Until, takes_gaps: bool) -> Result<History, Failure> {
        let unreached = |why: std::io::Error| Failure::new(Exit::Failed, format!("--from {address}: {why}"));
        let asked = match until {
            Until::Time(until_us) => format!("until_us={until_us}"),
            Until::Position(position) => {
                let bytes = position.to_string().into_bytes();
                let encoded = bytes.iter().map(|byte| format!("%{byte:02X}"));
                format!("position={}", encoded.collect::<String>())
            }
        };
        let mut stream = TcpStream::connect(address).map_err(unreached)?;
        // By HTTP 1.0 the answer is what comes until the connection ends.
        let gaps = if takes_gaps { "&with_gaps=true" } else { "" };
        let request = format!("GET /history?{asked}{gaps} HTTP/1.0\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).map_err(unreached)?;
        let mut answer = BufReader::new(stream);
        let status = head_of(&mut answer).map_err(unreached)?;
        if status != 200 {
            return Err(refusal(address, status, &mut answer));
        }
        match HistoryFrame::read(&mut answer).map_err(unreached)? {
            HistoryFrame::Head(head) => Ok(History {
                head,
                batches: Batches::Remote(answer),
            }),
            _ => Err(Failure::new(
                Exit::Failed,
                format!("--from {address}: its history has no head"),
            )),
        }
    }

    /// The next batch in the order of appending.
    pub fn next_batch(&mut self) -> Result<Option<PrefixBatch>, Failure> {
        let answer = match &mut self.batches {
            Batches::Local(local) => return local.1.next_batch().or_exit(Exit::Damaged),
            Batches::Remote(answer) => answer,
        };
        match HistoryFrame::read(answer) {
            Ok(HistoryFrame::Batch(place, stored)) => {
                let HistoryPartition { stream, partition, .. } = self
                    .head
                    .partitions
                    .get(place as usize)
                    .ok_or_else(|| broken_off("a batch of a partition that it did not name"))?;
                Ok(Some(PrefixBatch {
                    stream: stream.clone(),
                    partition: *partition,
                    stored,
                }))
            }
            Ok(HistoryFrame::End) => Ok(None),
            Ok(HistoryFrame::Broken(why)) => Err(broken_off(&why)),
            Ok(HistoryFrame::Head(_)) => Err(broken_off("a second head")),
            Err(why) => Err(broken_off(&why.to_string())),
        }
    }

    /// Whether there is a stream of this name now.
    pub fn has_stream(&self, name: &str) -> bool {
        self.head.existing.iter().any(|existing| existing == name)
    }

    /// The streams that come: number, name, partitions, settings.
    pub fn streams(&self) -> Result<Vec<(u128, &str, u32, StreamSettings)>, Failure> {
        let mut streams: Vec<(u128, &str, u32, StreamSettings)> = Vec::new();
        for stream in &self.head.streams {
            let mut settings = StreamSettings::default();
            for (name, value) in &stream.settings {
                settings.set(name, Some(value)).or_exit(Exit::Failed)?;
            }
            let id = u128::from_str_radix(&stream.id, 16).or_exit(Exit::Failed)?;
            streams.push((id, &stream.name, stream.partitions, settings));
        }
        Ok(streams)
    }

    /// What was opened is closed.
    pub fn close(&self) {
        if let Batches::Local(local) = &self.batches {
            local.0.close();
        }
    }
}

/// The status of an answer, whose head is read to its end.
fn head_of(answer: &mut impl BufRead) -> std::io::Result<u16> {
    let not_http = || std::io::Error::new(std::io::ErrorKind::InvalidData, "what answers there speaks no HTTP");
    let mut lines = answer.take(REFUSAL_BYTES_MAX);
    let mut line = String::new();
    lines.read_line(&mut line)?;
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .ok_or_else(not_http)?;
    while !line.trim_end().is_empty() {
        line.clear();
        lines.read_line(&mut line)?;
    }
    Ok(status)
}

/// What the program says against it.
fn refusal(address: &str, status: u16, answer: &mut impl Read) -> Failure {
    let mut body = String::new();
    // What cannot be read says nothing; the status does.
    let _ = answer.take(REFUSAL_BYTES_MAX).read_to_string(&mut body);
    let problem: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
    let detail = problem["detail"].as_str().unwrap_or("it says no more").to_owned();
    let is_gone = problem["code"] == NO_LONGER_KEPT;
    let exit = match (400..500).contains(&status) && !is_gone {
        true => Exit::Usage,
        false => Exit::Failed,
    };
    let advice = if is_gone { WITH_GAPS } else { "" };
    Failure::new(
        exit,
        format!("--from {address} answers with {status}: {detail}{advice}"),
    )
}

fn broken_off(why: &str) -> Failure {
    Failure::new(Exit::Failed, format!("the history broke off: {why}"))
}

fn cannot_cut(error: ReadError) -> Failure {
    if let ReadError::Expired { .. } = error {
        let why = format!("{error}: ask for a later moment, or keep events longer{WITH_GAPS}");
        return Failure::new(Exit::Failed, why);
    }
    let exit = match error {
        ReadError::Damaged { .. } | ReadError::Disk { .. } => Exit::Damaged,
        ReadError::Short { .. } => Exit::Failed,
        _ => Exit::Usage,
    };
    Failure {
        exit,
        why: error.into(),
    }
}
