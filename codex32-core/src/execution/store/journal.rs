//! Reading the journal and the log.

use super::super::entry::Entry;
use super::super::types::{Line, WatchItem};
use super::{Store, row};
use crate::error::Result;
use crate::id::ExecutionId;
use crate::storage::entity::{execution_logs, journal};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

/// Rows that are read at a time.
const PAGE: u64 = 1_000;

/// Where a log ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LastLine {
    /// How many lines it has.
    pub(crate) count: u64,
    /// The number of the last one; 0 where there is none.
    pub(crate) seq: i64,
}

impl Store {
    /// Entries of an execution after `after`, in order, at most `limit`.
    pub(crate) async fn entries(&self, id: ExecutionId, after: i64, limit: u64) -> Result<Vec<Entry>> {
        let rows = journal::Entity::find()
            .filter(journal::Column::ExecutionId.eq(id.0))
            .filter(journal::Column::Seq.gt(after))
            .order_by_asc(journal::Column::Seq)
            .limit(limit)
            .all(self.db.read())
            .await?;
        rows.into_iter().map(row::entry).collect()
    }

    /// The whole journal of an execution.
    pub(crate) async fn whole_journal(&self, id: ExecutionId) -> Result<Vec<Entry>> {
        let mut all = Vec::new();
        loop {
            let after = all.last().map_or(0, |entry: &Entry| entry.seq);
            let page = self.entries(id, after, PAGE).await?;
            let last = u64::try_from(page.len()).unwrap_or(PAGE) < PAGE;
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
    }

    /// Log lines of an execution after `after`, in order, at most `limit`.
    pub(crate) async fn lines(&self, id: ExecutionId, after: i64, limit: u64) -> Result<Vec<Line>> {
        let rows = execution_logs::Entity::find()
            .filter(execution_logs::Column::ExecutionId.eq(id.0))
            .filter(execution_logs::Column::Seq.gt(after))
            .order_by_asc(execution_logs::Column::Seq)
            .limit(limit)
            .all(self.db.read())
            .await?;
        Ok(rows.into_iter().map(row::line).collect())
    }

    /// The end of the log.
    pub(crate) async fn last_line(&self, id: ExecutionId) -> Result<LastLine> {
        let (count, seq): (i64, Option<i64>) = execution_logs::Entity::find()
            .select_only()
            .expr(execution_logs::Column::Seq.count())
            .expr(execution_logs::Column::Seq.max())
            .filter(execution_logs::Column::ExecutionId.eq(id.0))
            .into_tuple()
            .one(self.db.read())
            .await?
            .unwrap_or_default();
        Ok(LastLine { count: u64::try_from(count).unwrap_or(0), seq: seq.unwrap_or(0) })
    }

    /// The number of the last entry or line. The row of the execution need not know it:
    /// rounds that only add entries leave it alone.
    pub(crate) async fn last_seq(&self, id: ExecutionId) -> Result<i64> {
        let entry: Option<Option<i64>> = journal::Entity::find()
            .select_only()
            .expr(journal::Column::Seq.max())
            .filter(journal::Column::ExecutionId.eq(id.0))
            .into_tuple()
            .one(self.db.read())
            .await?;
        Ok(entry.flatten().unwrap_or(0).max(self.last_line(id).await?.seq))
    }

    /// Entries and lines together after `after`, in order: without a gap up to the last one given.
    pub(crate) async fn items(&self, id: ExecutionId, after: i64, limit: u64) -> Result<Vec<WatchItem>> {
        // Entries first: what is written between the two reads is later than every
        // entry read, so the lines can only be ahead and are cut there.
        let entries = self.entries(id, after, limit).await?;
        let lines = self.lines(id, after, limit).await?;
        let full = |len: usize| u64::try_from(len).is_ok_and(|len| len >= limit);
        let mut end = i64::MAX;
        if full(entries.len()) {
            end = entries.last().map_or(end, |entry| entry.seq);
        }
        if full(lines.len()) {
            end = end.min(lines.last().map_or(end, |line| line.seq));
        }
        let mut items: Vec<WatchItem> = entries.into_iter().map(WatchItem::Entry).collect();
        items.extend(lines.into_iter().map(WatchItem::Log));
        items.sort_by_key(WatchItem::seq);
        items.retain(|item| item.seq() <= end);
        // The numbers of an execution have no gaps: what is missing was not visible yet.
        let mut expected = after;
        items.retain(|item| {
            let next = item.seq() == expected + 1;
            expected += i64::from(next);
            next
        });
        Ok(items)
    }
}
