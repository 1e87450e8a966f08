package ledger

const (
	// Takes the account's row for the whole transaction, so that nobody can claim the account before the commit.
	// Portable: in SQLite a write transaction is alone anyway, PostgreSQL locks the row. The revision tells whether kept
	// counts still hold.
	fenceLease = `
UPDATE account SET ledger_revision = ledger_revision + 1 WHERE account_id = $1 AND lease_owner = $2 AND lease_epoch = $3`

	selectFolders = `
SELECT folder_id, source_name, source_uidvalidity, source_uidnext, source_modseq, source_messages,
       destination_name, destination_uidvalidity, destination_uidnext, destination_modseq, destination_messages,
       compared_at_ms, problem, name, role, mapped, skip_rule, limit_octets, limits, renamed_from, gathers, destination_ours
FROM folder WHERE account_id = $1 ORDER BY folder_id`

	insertFolder = `
INSERT INTO folder (source_name, source_uidvalidity, source_uidnext, source_modseq, source_messages,
    destination_name, destination_uidvalidity, destination_uidnext, destination_modseq, destination_messages,
    compared_at_ms, problem, name, role, mapped, skip_rule, limit_octets, limits, renamed_from, gathers, destination_ours, account_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22) RETURNING folder_id`

	updateFolder = `
UPDATE folder SET source_name = $1, source_uidvalidity = $2, source_uidnext = $3, source_modseq = $4,
    source_messages = $5, destination_name = $6, destination_uidvalidity = $7, destination_uidnext = $8,
    destination_modseq = $9, destination_messages = $10, compared_at_ms = $11, problem = $12,
    name = $13, role = $14, mapped = $15, skip_rule = $16, limit_octets = $17, limits = $18,
    renamed_from = $19, gathers = $20, destination_ours = $21
WHERE account_id = $22 AND folder_id = $23`

	deleteFolder = `DELETE FROM folder WHERE account_id = $1 AND folder_id = $2`

	// Before a folder gets another place: its messages stay where they are.
	pinMessages = `
UPDATE message SET destination_name = (SELECT destination_name FROM folder WHERE folder.folder_id = $1)
WHERE folder_id = $1 AND destination_name = ''`

	messageColumns = `message.folder_id, message.source_uidvalidity, message.source_uid, stage, fate, reason, kept_file,
    message.destination_name, message.destination_uidvalidity, destination_uid, appended, intent_batch, intent_uidnext,
    digest, fingerprint, size_octets, internal_date_s, flags, source_gone, origin`

	selectMessages = `SELECT ` + messageColumns + ` FROM message
WHERE folder_id = $1 ORDER BY source_uidvalidity, source_uid`

	// What a plan needs of each row and no more: every column costs a pass over 100,000 messages 10 ms.
	selectRows = `
SELECT source_uidvalidity, source_uid, stage, fate, reason, destination_name, destination_uidvalidity, destination_uid,
       appended + 2 * source_gone, digest, fingerprint, size_octets, internal_date_s, flags, origin
FROM message WHERE folder_id = $1 ORDER BY source_uidvalidity, source_uid`

	selectMessage = `SELECT ` + messageColumns + ` FROM message` + whereKey

	// SQLite uses an index on a part of the rows only when the statement says that they are in it, and rather this than
	// the primary key only when that can't serve: hence the +.
	selectIntended = selectInStage + `'intended'` + ofAccount
	selectRefiling = selectInStage + `'refiling'` + ofAccount
	selectInStage  = `SELECT ` + messageColumns + ` FROM message WHERE stage = `
	ofAccount      = ` AND +message.folder_id IN (SELECT folder.folder_id FROM folder WHERE account_id = $1)
ORDER BY message.folder_id, message.source_uidvalidity, source_uid`

	selectExceptions = `SELECT ` + messageColumns + `, folder.source_name
FROM message JOIN folder ON folder.folder_id = message.folder_id
WHERE account_id = $1 AND (stage = 'parked' OR fate = 'refused'
    OR fate = 'skipped' AND reason NOT LIKE '` + AlsoIn + `%' OR fate = 'copied' AND reason <> '')
ORDER BY folder.source_name, message.source_uidvalidity, source_uid`

	// Read often, by the index that holds nothing else.
	selectForPeople = `
SELECT domain.name, count(*) FILTER (WHERE stage <> 'parked'), count(*) FILTER (WHERE stage = 'parked')
FROM message INDEXED BY message_for_people JOIN folder ON folder.folder_id = message.folder_id
JOIN account ON account.account_id = folder.account_id JOIN domain ON domain.domain_id = account.domain_id
WHERE (fate = 'refused' OR stage = 'parked') GROUP BY domain.name`

	selectSightings = `
SELECT message.folder_id, message.source_uidvalidity, source_uid, origin, stage, fate, reason, appended, source_gone,
       message.destination_name, message.destination_uidvalidity, destination_uid
FROM message JOIN folder ON folder.folder_id = message.folder_id
WHERE account_id = $1 AND origin <> 0
ORDER BY message.folder_id, message.source_uidvalidity, source_uid`

	// One SELECT with OR would read the rows of all folders for each of them. Few rows have a place of their own.
	selectClaimed = `
SELECT destination_uid FROM folder JOIN message ON message.folder_id = folder.folder_id
WHERE account_id = $1 AND folder.destination_name = $2 AND message.destination_name = ''
  AND message.destination_uidvalidity = $3 AND destination_uid > 0
UNION SELECT destination_uid FROM message INDEXED BY message_elsewhere JOIN folder ON folder.folder_id = message.folder_id
WHERE account_id = $1 AND message.destination_name <> '' AND message.destination_name = $2
  AND message.destination_uidvalidity = $3 AND destination_uid > 0
UNION SELECT destination_uid FROM notice
WHERE $2 = 'INBOX' AND account_id = $1 AND destination_uidvalidity = $3 AND destination_uid > 0
ORDER BY destination_uid`

	selectNotice = `
SELECT revision, destination_uidvalidity, destination_uid, intent_uidnext, gone, complete, copied, written_at_ms
FROM notice WHERE account_id = $1`

	upsertNotice = `
INSERT INTO notice (account_id, revision, destination_uidvalidity, destination_uid, intent_uidnext, gone, complete, copied, written_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (account_id) DO UPDATE SET revision = excluded.revision, destination_uidvalidity = excluded.destination_uidvalidity,
    destination_uid = excluded.destination_uid, intent_uidnext = excluded.intent_uidnext, gone = excluded.gone,
    complete = excluded.complete, copied = excluded.copied, written_at_ms = excluded.written_at_ms`

	countRows = `SELECT count(*) FROM message WHERE folder_id = $1`

	selectTally = `
SELECT account.ledger_revision, coalesce(tally.revision, -1), coalesce(tally.counts_json, '')
FROM account LEFT JOIN tally ON tally.account_id = account.account_id WHERE account.account_id = $1`

	// Of counts that somebody wrote behind, nothing is kept.
	upsertTally = `
INSERT INTO tally (account_id, revision, counts_json)
SELECT account_id, ledger_revision, $3 FROM account WHERE account_id = $1 AND ledger_revision = $2
ON CONFLICT (account_id) DO UPDATE SET revision = excluded.revision, counts_json = excluded.counts_json`

	// The fates stand in the order of Fates.
	selectCounts = `
SELECT count(*) FILTER (WHERE stage = 'intended'),
       count(*) FILTER (WHERE stage = 'parked'),
       count(*) FILTER (WHERE source_gone = 0),
       count(*) FILTER (WHERE source_gone = 1),
       coalesce(sum(size_octets) FILTER (WHERE stage IN ('confirmed', 'refiling') AND fate = 'copied'), 0),
       coalesce(sum(size_octets) FILTER (WHERE source_gone = 0), 0),
       count(*) FILTER (WHERE stage IN ('confirmed', 'refiling') AND fate = 'copied'),
       count(*) FILTER (WHERE stage = 'confirmed' AND fate = 'delivered'),
       count(*) FILTER (WHERE stage = 'confirmed' AND fate = 'deleted'),
       count(*) FILTER (WHERE stage = 'confirmed' AND fate = 'skipped'),
       count(*) FILTER (WHERE stage = 'confirmed' AND fate = 'refused')
FROM message WHERE folder_id = $1`

	insertMessage = `
INSERT INTO message (folder_id, source_uidvalidity, source_uid, stage, fate, reason, kept_file, destination_name,
    destination_uidvalidity, destination_uid, appended, intent_batch, intent_uidnext, digest, fingerprint, size_octets,
    internal_date_s, flags, source_gone, origin)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)`

	whereKey = ` WHERE folder_id = $1 AND source_uidvalidity = $2 AND source_uid = $3`

	confirmMessage = `
UPDATE message SET stage = 'confirmed', destination_name = $4, destination_uidvalidity = $5, destination_uid = $6` +
		whereKey + ` AND stage = 'intended'`
	forgetMessage = `DELETE FROM message` + whereKey + ` AND stage = 'intended'`
	againMessage  = `DELETE FROM message` + whereKey + ` AND (stage = 'parked' OR fate = 'refused')`
	leaveMessage  = `UPDATE message SET stage = 'confirmed', fate = 'deleted', reason = $4` + whereKey + ` AND stage = 'parked'`
	parkMessage   = `UPDATE message SET stage = 'parked', reason = $4` + whereKey + ` AND stage = 'intended'`

	refileMessage = `
UPDATE message SET stage = 'refiling', intent_batch = $4, intent_uidnext = $5` + whereKey +
		` AND stage = 'confirmed' AND fate = 'copied' AND appended = 1 AND destination_uid > 0`
	refiledMessage = `
UPDATE message SET stage = 'confirmed', destination_name = $4, destination_uidvalidity = $5, destination_uid = $6` +
		whereKey + ` AND stage = 'refiling'`

	updateFate    = `UPDATE message SET fate = $4, reason = $5` + whereKey + ` AND stage = 'confirmed'`
	updateFlags   = `UPDATE message SET flags = $4` + whereKey
	updateGone    = `UPDATE message SET source_gone = $4` + whereKey
	reopenMessage = `DELETE FROM message` + whereKey + ` AND stage = 'confirmed' AND fate = 'deleted' AND appended = 1`
	unskipMessage = `DELETE FROM message` + whereKey + ` AND stage = 'confirmed' AND fate = 'skipped'`
	yieldMessage  = `
UPDATE message SET fate = 'skipped', reason = $4, appended = 0, destination_name = '', destination_uidvalidity = 0, destination_uid = 0` +
		whereKey + ` AND stage = 'confirmed' AND fate = 'copied'`
	renewMessage = `DELETE FROM message` + whereKey + ` AND stage = 'confirmed' AND fate = 'copied' AND appended = 1`
	updatePlace  = `
UPDATE message SET destination_name = $4, destination_uidvalidity = $5, destination_uid = $6` + whereKey + ` AND stage = 'confirmed'`
	updateIdentity = `
UPDATE message SET folder_id = $4, source_uidvalidity = $5, source_uid = $6, destination_name = $7, source_gone = 0` + whereKey
)
