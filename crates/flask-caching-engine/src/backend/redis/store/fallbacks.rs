//! What is asked of the server by one command, or by others where it denies that.

use super::Redis;
use crate::backend::redis::command;
use crate::backend::redis::denied::Replaceable;
use crate::backend::redis::resp::Reply;
use crate::backend::redis::server::{Batch, Operation};
use crate::backend::redis::topology::Request;
use crate::{Lifetime, Result};

impl Redis {
    /// Has keys removed: by `UNLINK`, which leaves the work to another thread of the server, or `DEL`.
    ///
    /// `ask` sends the command of that name, `reply` finds a reply in what it returns.
    pub(super) fn removed<T>(
        &self,
        ask: impl Fn(&[u8]) -> Result<T>,
        denies: impl Fn(&T, &dyn Fn(&Reply) -> bool) -> bool,
    ) -> Result<T> {
        if !self.denied.has(Replaceable::Unlink) {
            let done = ask(b"UNLINK")?;
            if !denies(&done, &|reply| self.denied.by(reply, Replaceable::Unlink)) {
                return Ok(done);
            }
        }
        ask(b"DEL")
    }

    pub(super) fn remove(&self, key: &[u8]) -> Result<Reply> {
        let operation = Operation::remove("delete");
        self.removed(
            |name| self.one(operation, key, Batch::of(&[name, key])),
            |reply, denies| denies(reply),
        )
    }

    /// Adds to a counter, and gives a new one its lifetime: by a script, or by two commands, of which
    /// the first makes a counter that is not there.
    pub(super) fn count(&self, key: &[u8], delta: i64, lifetime: Lifetime) -> Result<i64> {
        let operation = Operation::store("incr").once();
        let reader = self.reader(operation);
        let is_script = lifetime != Lifetime::Forever;
        if !is_script || !self.denied.has(Replaceable::Eval) {
            let reply = self.one(operation, key, command::incr(key, delta, lifetime))?;
            if !self.denied.by(&reply, Replaceable::Eval) {
                return reader.integer(&reply);
            }
        }
        let commands = [
            command::begin_count(key, lifetime),
            command::incr(key, delta, Lifetime::Forever),
        ];
        let requests = commands.map(|command| Request { key, command });
        let replies = self.topology.ask(operation, &requests, self.deadline())?;
        reader.integer(replies.last().unwrap_or(&Reply::Nil))
    }

    /// Lets an entry live for `lifetime` where it would end sooner; whether there is one.
    pub(super) fn prolong(&self, key: &[u8], lifetime: Lifetime) -> Result<bool> {
        let operation = Operation::remove("extend");
        let reader = self.reader(operation);
        if lifetime == Lifetime::Expired || !self.denied.has(Replaceable::Eval) {
            let script = command::extend(key, lifetime, self.listener.is_some());
            let reply = self.one(operation, key, script)?;
            if !self.denied.by(&reply, Replaceable::Eval) {
                return reader.done(&reply);
            }
        }
        let Lifetime::For(duration) = lifetime else {
            let persist = self.one(operation, key, Batch::of(&[b"PERSIST", key]))?;
            if !self.denied.by(&persist, Replaceable::Persist) {
                reader.done(&persist)?;
            }
            let exists = self.one(operation, key, Batch::of(&[b"EXISTS", key]))?;
            return reader.done(&exists);
        };
        if !self.denied.has(Replaceable::Pttl) {
            let life = self.one(operation, key, command::life(key))?;
            if !self.denied.by(&life, Replaceable::Pttl) {
                let left = reader.integer(&life)?;
                let wanted = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
                if !(0..wanted).contains(&left) {
                    return Ok(left != -2);
                }
            }
        }
        reader.done(&self.one(operation, key, command::expire(key, duration))?)
    }
}
