-- +goose Up
-- One owning package per table; it is named at each one. Times are Unix milliseconds, UTC.

-- owner: daemon/store
CREATE TABLE domain (
    domain_id       INTEGER PRIMARY KEY,
    name            TEXT    NOT NULL UNIQUE,
    state           TEXT    NOT NULL CHECK (state IN ('open', 'cutover', 'draining', 'closed')),
    source_json     TEXT    NOT NULL,               -- account.Source
    source_host     TEXT    NOT NULL,               -- account.Source.HostKey
    accounts_policy TEXT    NOT NULL CHECK (accounts_policy IN ('listed', 'any')),
    mx_hosts        TEXT    NOT NULL,               -- separated by one space
    outgoing        TEXT    NOT NULL,               -- IP addresses, separated by one space
    rules_json      TEXT    NOT NULL DEFAULT '{}',  -- account.Rules
    passwords_only  BIGINT  NOT NULL DEFAULT 0 CHECK (passwords_only IN (0, 1)), -- no mail is copied
    first_login     TEXT    NOT NULL DEFAULT 'local' CHECK (first_login IN ('local', 'proxy', 'notice')),
    guard_json      TEXT    NOT NULL DEFAULT '{}',  -- account.GuardRules
    notice_json     TEXT    NOT NULL DEFAULT '{}',  -- account.Notice
    check_json      TEXT    NOT NULL DEFAULT '{}',  -- account.SourceCheck
    cutover_json    TEXT    NOT NULL DEFAULT '{}',  -- cutover.Memory
    report_json     TEXT    NOT NULL DEFAULT '',    -- finalize.Report, once the domain is closed
    created_at_ms   BIGINT  NOT NULL,
    closed_at_ms    BIGINT  NOT NULL DEFAULT 0
);

-- owner: daemon/store; the lease columns: daemon/schedule. The row is the queue.
CREATE TABLE account (
    account_id     INTEGER PRIMARY KEY,
    domain_id      BIGINT  NOT NULL REFERENCES domain (domain_id),
    address        TEXT    NOT NULL UNIQUE,
    state          TEXT    NOT NULL CHECK (state IN ('listed', 'joined', 'copying', 'following', 'closing', 'done')),
    paused         BIGINT  NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
    stuck          TEXT    NOT NULL DEFAULT '',
    hint           TEXT    NOT NULL DEFAULT '',
    orders         TEXT    NOT NULL DEFAULT '',     -- of an operator for the next pass: words with one space between
    source_user    TEXT    NOT NULL,
    rules_json     TEXT    NOT NULL DEFAULT '{}',   -- account.Rules of its own
    language       TEXT    NOT NULL DEFAULT '',     -- of its owner; empty: that of the domain
    password_hash  TEXT    NOT NULL DEFAULT '',
    credential_refused BIGINT NOT NULL DEFAULT 0 CHECK (credential_refused IN (0, 1)), -- by the source, and none proven since
    switched_at_ms BIGINT  NOT NULL DEFAULT 0,
    route          TEXT    NOT NULL DEFAULT 'here' CHECK (route IN ('here', 'source', 'held', 'notice')), -- where logins lead
    switch_json    TEXT    NOT NULL DEFAULT '{}',   -- account.Switching
    last_pass_at_ms BIGINT NOT NULL DEFAULT 0,      -- when the last complete pass began
    last_new_at_ms BIGINT  NOT NULL DEFAULT 0,      -- when a pass last found a new message at the source
    next_pass_at_ms BIGINT NOT NULL DEFAULT 0,
    priority       BIGINT  NOT NULL DEFAULT 0,      -- higher first
    attempt        BIGINT  NOT NULL DEFAULT 0,      -- passes failed in a row
    lease_owner    TEXT    NOT NULL DEFAULT '',
    lease_until_ms BIGINT  NOT NULL DEFAULT 0,
    lease_epoch    BIGINT  NOT NULL DEFAULT 0,      -- fencing token: grows with every claim
    ledger_revision BIGINT NOT NULL DEFAULT 0,      -- grows with every transaction of the ledger
    verified_json  TEXT    NOT NULL DEFAULT '',     -- finalize.AccountReport, once the account is done
    created_at_ms  BIGINT  NOT NULL
);
CREATE INDEX account_due ON account (next_pass_at_ms) WHERE paused = 0;
CREATE INDEX account_domain ON account (domain_id);

-- owner: daemon/store. Sealed (S1) and erased when the account is done.
CREATE TABLE credential (
    account_id    BIGINT NOT NULL REFERENCES account (account_id),
    kind          TEXT   NOT NULL CHECK (kind IN ('password')),
    sealed        BLOB   NOT NULL,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (account_id, kind)
);

-- owner: daemon/store. Logins that a source may have counted as failed, for the hook's guard. A row is written before the
-- password goes and deleted when it was right: what a crash leaves counts. Kept for one window.
CREATE TABLE login_failure (
    login_failure_id INTEGER PRIMARY KEY,
    address        TEXT   NOT NULL,
    network        TEXT   NOT NULL DEFAULT '',      -- of the client: 192.0.2.1/32, 2001:db8::/64; empty when it does not count
    source_host    TEXT   NOT NULL,
    at_ms          BIGINT NOT NULL
);
CREATE INDEX login_failure_at ON login_failure (at_ms);

-- owner: daemon/store. A source that can't be reached or asked to be left alone.
CREATE TABLE source_breaker (
    source_host    TEXT   NOT NULL PRIMARY KEY,
    broken         BIGINT NOT NULL,                 -- logins in a row that found it so
    until_ms       BIGINT NOT NULL                  -- not asked before
);

-- owner: daemon/schedule. A source that asked to be left alone: no pass of any of its accounts begins before.
CREATE TABLE source_pause (
    source_host    TEXT   NOT NULL PRIMARY KEY,
    until_ms       BIGINT NOT NULL
);

-- owner: daemon/store. What opens all accounts of a domain at its source. Sealed (S1) and erased when the domain is closed.
CREATE TABLE domain_credential (
    domain_id     BIGINT PRIMARY KEY REFERENCES domain (domain_id),
    kind          TEXT   NOT NULL CHECK (kind IN ('master', 'client_credentials', 'refresh_token')),
    login_json    TEXT   NOT NULL,                   -- account.SourceLogin
    sealed        BLOB   NOT NULL,
    created_at_ms BIGINT NOT NULL
);

-- owner: daemon/ledger. One folder of the source and where it is kept here.
CREATE TABLE folder (
    folder_id               INTEGER PRIMARY KEY,
    account_id              BIGINT NOT NULL REFERENCES account (account_id),
    source_name             TEXT   NOT NULL,            -- as on the wire
    source_uidvalidity      BIGINT NOT NULL DEFAULT 0,
    source_uidnext          BIGINT NOT NULL DEFAULT 0,
    source_modseq           BIGINT NOT NULL DEFAULT 0,  -- up to which changes have been applied
    source_messages         BIGINT NOT NULL DEFAULT 0,
    destination_name        TEXT   NOT NULL,            -- as on the wire
    destination_uidvalidity BIGINT NOT NULL DEFAULT 0,
    destination_uidnext     BIGINT NOT NULL DEFAULT 0,
    destination_modseq      BIGINT NOT NULL DEFAULT 0,
    destination_messages    BIGINT NOT NULL DEFAULT 0,
    destination_ours        BIGINT NOT NULL DEFAULT 0 CHECK (destination_ours IN (0, 1)), -- then every message in it had a row
    renamed_from            TEXT   NOT NULL DEFAULT '', -- its name here before a RENAME that nobody has confirmed yet
    compared_at_ms          BIGINT NOT NULL DEFAULT 0,  -- last full comparison of both sides
    problem                 TEXT   NOT NULL DEFAULT '', -- why the last pass could not do this folder
    name                    TEXT   NOT NULL DEFAULT '', -- as its owner calls it
    role                    TEXT   NOT NULL DEFAULT '', -- account.Role
    mapped                  BIGINT NOT NULL DEFAULT 0 CHECK (mapped IN (0, 1)), -- an admin chose destination_name
    skip_rule               TEXT   NOT NULL DEFAULT '', -- why its messages were left out when it was last finished
    limit_octets            BIGINT NOT NULL DEFAULT 0,  -- the largest message that was copied then
    limits                  TEXT   NOT NULL DEFAULT '', -- what of it can't be kept here for good (L6)
    gathers                 BIGINT NOT NULL DEFAULT 0 CHECK (gathers IN (0, 1)), -- only what no other folder has was copied then
    UNIQUE (account_id, source_name)
);

-- owner: daemon/ledger. What is known of every source message: its identity and its fate.
CREATE TABLE message (
    folder_id               BIGINT NOT NULL REFERENCES folder (folder_id),
    source_uidvalidity      BIGINT NOT NULL,
    source_uid              BIGINT NOT NULL,
    stage                   TEXT   NOT NULL CHECK (stage IN ('intended', 'confirmed', 'refiling', 'parked')),
    fate                    TEXT   NOT NULL CHECK (fate IN ('copied', 'delivered', 'deleted', 'skipped', 'refused')),
    reason                  TEXT   NOT NULL DEFAULT '',  -- of skipped, refused and parked; what was not kept
    kept_file               TEXT   NOT NULL DEFAULT '',  -- where the bytes of a refused message are
    destination_name        TEXT   NOT NULL DEFAULT '',  -- where it was put, when that is not the folder's
    destination_uidvalidity BIGINT NOT NULL DEFAULT 0,
    destination_uid         BIGINT NOT NULL DEFAULT 0,   -- 0 while intended; then its lower bound is intent_uidnext
    appended                BIGINT NOT NULL DEFAULT 0 CHECK (appended IN (0, 1)), -- the mirror stored it itself (L4)
    intent_batch            TEXT   NOT NULL DEFAULT '',  -- the APPEND that it was part of
    intent_uidnext          BIGINT NOT NULL DEFAULT 0,
    digest                  BLOB   NOT NULL,             -- SHA-256; empty when the body was never read
    fingerprint             BLOB   NOT NULL,             -- empty when never computed
    size_octets             BIGINT NOT NULL DEFAULT 0,
    internal_date_s         BIGINT NOT NULL DEFAULT 0,   -- Unix seconds
    flags                   TEXT   NOT NULL DEFAULT '',  -- base of the three-way merge: sorted, one space between
    source_gone             BIGINT NOT NULL DEFAULT 0 CHECK (source_gone IN (0, 1)),
    origin                  BIGINT NOT NULL DEFAULT 0,   -- the source's own identity of the letter, the same in all its folders
    PRIMARY KEY (folder_id, source_uidvalidity, source_uid)
) WITHOUT ROWID;
CREATE INDEX message_intended ON message (folder_id) WHERE stage = 'intended';
CREATE INDEX message_refiling ON message (folder_id) WHERE stage = 'refiling';
CREATE INDEX message_elsewhere ON message (folder_id) WHERE destination_name <> '';
CREATE INDEX message_for_people ON message (folder_id) WHERE fate = 'refused' OR stage = 'parked';

-- owner: daemon/ledger. What the rows of an account add up to, so that a pass without changes and status need not read them.
CREATE TABLE tally (
    account_id  BIGINT PRIMARY KEY REFERENCES account (account_id),
    revision    BIGINT NOT NULL,                        -- account.ledger_revision then: with any other they are out of date
    counts_json TEXT   NOT NULL                         -- ledger.Counts by folder_id
);

-- owner: daemon/ledger. The letter in the inbox here that tells its owner how far the move is. It is no message of the source
-- and has no fate.
CREATE TABLE notice (
    account_id              BIGINT PRIMARY KEY REFERENCES account (account_id),
    revision                BIGINT NOT NULL,            -- the last one that was begun
    destination_uidvalidity BIGINT NOT NULL,
    destination_uid         BIGINT NOT NULL DEFAULT 0,  -- where one is; 0: nowhere
    intent_uidnext          BIGINT NOT NULL DEFAULT 0,  -- not 0: the last one may be there too, with a UID from this one on
    gone                    BIGINT NOT NULL DEFAULT 0 CHECK (gone IN (0, 1)), -- its owner removed it: none is written again (L3)
    complete                BIGINT NOT NULL DEFAULT 0 CHECK (complete IN (0, 1)), -- the last one says that all is here
    copied                  BIGINT NOT NULL DEFAULT 0,  -- as many as the last one says
    written_at_ms           BIGINT NOT NULL
);

-- owner: daemon/milter. What was delivered here directly.
CREATE TABLE delivery (
    delivery_id    INTEGER PRIMARY KEY,
    recipient      TEXT   NOT NULL,                      -- canonical address, before alias expansion
    fingerprint    BLOB   NOT NULL,
    queue_id       TEXT   NOT NULL DEFAULT '',
    received_at_ms BIGINT NOT NULL,
    -- the source message that was found to be this letter; 0 while none was
    claimed_folder_id BIGINT NOT NULL DEFAULT 0,
    claimed_uidvalidity BIGINT NOT NULL DEFAULT 0,
    claimed_uid    BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX delivery_recipient ON delivery (recipient, fingerprint);

-- owner: daemon/eventlog. State changes, kept for `mailstork log`.
CREATE TABLE event (
    event_id   INTEGER PRIMARY KEY,
    at_ms      BIGINT NOT NULL,
    event      TEXT   NOT NULL,
    domain     TEXT   NOT NULL DEFAULT '',
    account    TEXT   NOT NULL DEFAULT '',
    state      TEXT   NOT NULL DEFAULT '',
    folder     TEXT   NOT NULL DEFAULT '',
    took_ms    BIGINT NOT NULL DEFAULT 0,
    detail     TEXT   NOT NULL DEFAULT '',
    err        TEXT   NOT NULL DEFAULT ''
);
CREATE INDEX event_account ON event (account, event_id);

-- +goose Down
DROP TABLE event;
DROP TABLE delivery;
DROP TABLE notice;
DROP TABLE tally;
DROP TABLE message;
DROP TABLE folder;
DROP TABLE source_pause;
DROP TABLE source_breaker;
DROP TABLE login_failure;
DROP TABLE domain_credential;
DROP TABLE credential;
DROP TABLE account;
DROP TABLE domain;
