//! Errors of the database, by their class.

use crate::error::{Code, Error};
use sea_orm::{DbErr, RuntimeErr, SqlErr, sqlx};

/// A database error by its class. The text of a constraint names the columns and no values.
impl From<DbErr> for Error {
    fn from(e: DbErr) -> Self {
        match e.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => return Error::conflict("it exists already"),
            Some(SqlErr::ForeignKeyConstraintViolation(_)) => {
                return Error::conflict("it refers to something that does not exist");
            }
            _ => {}
        }
        if matches!(e, DbErr::ConnectionAcquire(_)) {
            return busy("the database has no free connection");
        }
        let cause = match &e {
            DbErr::Conn(RuntimeErr::SqlxError(cause))
            | DbErr::Exec(RuntimeErr::SqlxError(cause))
            | DbErr::Query(RuntimeErr::SqlxError(cause)) => cause.as_ref(),
            _ => return refused(&e),
        };
        match trouble(cause) {
            Some(Trouble::Away) => Error::unavailable("the database cannot be reached"),
            Some(Trouble::Busy) => busy("the database is busy"),
            None if matches!(e, DbErr::Conn(_)) => Error::unavailable("the database cannot be reached"),
            None => refused(&e),
        }
    }
}

fn busy(message: &str) -> Error {
    Error::new(Code::Busy, message).retry_after_ms(1_000)
}

fn refused(e: &DbErr) -> Error {
    tracing::error!(error = %e, "database error");
    Error::internal("the database refused a statement")
}

/// What is wrong with the database and not with the statement.
#[derive(Debug, PartialEq, Eq)]
enum Trouble {
    /// It cannot be reached, or was lost on the way.
    Away,
    /// It was in the way of others and may do it next time.
    Busy,
}

fn trouble(cause: &sqlx::Error) -> Option<Trouble> {
    match cause {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Some(Trouble::Away),
        sqlx::Error::PoolTimedOut => Some(Trouble::Busy),
        sqlx::Error::Database(told) => told.code().as_deref().and_then(trouble_by_state),
        _ => None,
    }
}

/// By PostgreSQL's SQLSTATE.
fn trouble_by_state(state: &str) -> Option<Trouble> {
    match state {
        // It shuts down, has crashed, starts up, or the session was ended.
        "57P01" | "57P02" | "57P03" | "57P05" => Some(Trouble::Away),
        // A transaction in which nothing was asked for too long, as where this process was frozen.
        "25P03" | "25P04" => Some(Trouble::Away),
        // A standby that was made read-only while it is the wrong one to write to.
        "25006" => Some(Trouble::Away),
        // A serialisation failure, a deadlock, a lock that was not free in time.
        "40001" | "40P01" | "55P03" => Some(Trouble::Busy),
        _ if state.starts_with("08") => Some(Trouble::Away),
        // No memory, no disk, too many connections.
        _ if state.starts_with("53") => Some(Trouble::Busy),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::testing;
    use sea_orm::ConnectionTrait as _;

    #[test]
    fn a_lost_database_is_told_from_a_refused_statement() {
        for (state, expected) in [
            ("57P01", Some(Trouble::Away)),
            ("08006", Some(Trouble::Away)),
            ("40P01", Some(Trouble::Busy)),
            ("53300", Some(Trouble::Busy)),
            ("42601", None),
            ("23505", None),
        ] {
            assert_eq!(trouble_by_state(state), expected, "{state}");
        }
        let io = || RuntimeErr::SqlxError(std::sync::Arc::new(sqlx::Error::Io(std::io::ErrorKind::BrokenPipe.into())));
        for e in [DbErr::Conn(io()), DbErr::Exec(io()), DbErr::Query(io())] {
            assert_eq!(Error::from(e).code(), Code::Unavailable);
        }
    }

    #[tokio::test]
    async fn a_session_that_was_ended_is_unavailable() {
        let Some(test) = testing::postgres().await else { return };
        let end_itself = "SELECT pg_terminate_backend(pg_backend_pid())";
        let ended = test.db.read().execute_unprepared(end_itself).await.unwrap_err();
        assert_eq!(Error::from(ended).code(), Code::Unavailable);
        let wrong = test.db.read().execute_unprepared("SELEKT").await.unwrap_err();
        assert_eq!(Error::from(wrong).code(), Code::Internal);
    }
}
