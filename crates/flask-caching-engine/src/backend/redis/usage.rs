//! How much the servers hold.

use super::command::Reader;
use super::resp::Reply;
use super::server::{Batch, Operation, Server};
use super::servers::Servers;
use crate::Result;
use crate::backend::net::fan_out;
use crate::resilience::Deadline;

/// What servers hold; `None`: they do not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The keys of the database, whoever stored them; those that have expired and were not taken away yet
    /// included.
    pub entries: Option<u64>,
    /// The memory of the whole server, in bytes.
    pub bytes: Option<u64>,
    /// Entries that have made room since the server was started.
    pub evictions: Option<u64>,
}

impl Usage {
    /// What several hold together; where one of them does not tell, nobody does.
    fn sum(all: &[Self]) -> Self {
        let sum = |number: fn(&Self) -> Option<u64>| all.iter().map(number).sum();
        Self {
            entries: sum(|one| one.entries),
            bytes: sum(|one| one.bytes),
            evictions: sum(|one| one.evictions),
        }
    }
}

const OPERATION: Operation = Operation::read("usage");

impl Servers {
    /// What those that take writes hold.
    ///
    /// # Errors
    /// One cannot be asked.
    pub fn usage(&self) -> Result<Usage> {
        let deadline = Deadline::after(self.settings.operation_timeout);
        let masters = self.topology.masters(OPERATION, deadline)?;
        let answers = fan_out(&masters, deadline, |server| {
            usage_of(server, self.topology.target(), deadline)
        });
        let all: Vec<Usage> = answers.into_iter().collect::<Result<_>>()?;
        Ok(Usage::sum(&all))
    }
}

fn usage_of(server: &Server, target: &str, deadline: Deadline) -> Result<Usage> {
    let mut questions = Batch::of(&[b"DBSIZE"]);
    questions.push(&[b"INFO", b"memory"]);
    questions.push(&[b"INFO", b"stats"]);
    let replies = server.exchange(OPERATION, &questions, deadline)?;
    let reader = Reader {
        operation: OPERATION.name,
        target,
    };
    // A user may be allowed some of these only.
    let entries = replies.first().and_then(|size| reader.integer(size).ok());
    Ok(Usage {
        entries: entries.and_then(|entries| u64::try_from(entries).ok()),
        bytes: told(replies.get(1), "used_memory"),
        evictions: told(replies.get(2), "evicted_keys"),
    })
}

/// The number that an answer to `INFO` has under `name`.
fn told(reply: Option<&Reply>, name: &str) -> Option<u64> {
    let Some(Reply::Data(text)) = reply else {
        return None;
    };
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines();
    lines.find_map(|line| {
        line.strip_prefix(name)?
            .strip_prefix(':')?
            .trim()
            .parse()
            .ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_their_whole_names() {
        let info = b"# Memory\r\nused_memory_human:1M\r\nused_memory:1048576\r\nx:y\r\n";
        let reply = Reply::Data(info.to_vec());
        assert_eq!(told(Some(&reply), "used_memory"), Some(1_048_576));
        assert_eq!(told(Some(&reply), "used"), None);
        assert_eq!(told(Some(&reply), "x"), None);
        assert_eq!(
            told(Some(&Reply::Error("NOPERM".into())), "used_memory"),
            None
        );
        assert_eq!(told(None, "used_memory"), None);
    }
}
