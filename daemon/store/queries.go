package store

const (
	selectDomainCount = `SELECT count(*) FROM domain WHERE name = $1`

	insertDomain = `
INSERT INTO domain (name, state, source_json, accounts_policy, mx_hosts, outgoing, rules_json, passwords_only, check_json, guard_json, source_host, created_at_ms, first_login, notice_json)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) RETURNING domain_id`

	selectDomains = `
SELECT domain_id, name, state, source_json, accounts_policy, mx_hosts, outgoing, rules_json, passwords_only, check_json,
       guard_json, created_at_ms, closed_at_ms, first_login, notice_json FROM domain`

	updateDomainOptions = `
UPDATE domain SET accounts_policy = $1, mx_hosts = $2, outgoing = $3, rules_json = $4, passwords_only = $5, source_json = $6, check_json = $7, guard_json = $8,
    source_host = $9, first_login = $10, notice_json = $11
WHERE domain_id = $12`

	updateDomainState = `
UPDATE domain SET state = $1, cutover_json = $2, closed_at_ms = $3 WHERE domain_id = $4 AND state = $5`

	insertAccount = `
INSERT INTO account (domain_id, address, state, source_user, created_at_ms)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT (address) DO NOTHING`

	selectAccounts = `
SELECT account_id, domain.name, address, account.state, paused, stuck, hint, orders, source_user, password_hash, switched_at_ms,
       next_pass_at_ms, priority, last_pass_at_ms, last_new_at_ms, account.created_at_ms, account.rules_json,
       credential_refused, route, switch_json, language
FROM account JOIN domain ON domain.domain_id = account.domain_id`

	selectCensus = `
SELECT domain.name, account.state, count(*), count(*) FILTER (WHERE paused = 1), count(*) FILTER (WHERE stuck <> ''),
       count(*) FILTER (WHERE route = 'source'), count(*) FILTER (WHERE route = 'held'), count(*) FILTER (WHERE route = 'notice')
FROM account JOIN domain ON domain.domain_id = account.domain_id GROUP BY domain.name, account.state`

	updateAccountState = `UPDATE account SET state = $1 WHERE account_id = $2 AND state = $3`

	// A first login is the switch unless it is passed on.
	updatePasswordHash = `
UPDATE account SET password_hash = $1, switched_at_ms = CASE WHEN route = 'here' THEN $2 ELSE 0 END WHERE account_id = $3 AND password_hash = ''`

	// replacePasswordHash is for passwords that were proven, or set by an admin (A2).
	replacePasswordHash = `
UPDATE account SET password_hash = $1, switched_at_ms = CASE WHEN switched_at_ms = 0 AND route = 'here' THEN $2 ELSE switched_at_ms END
WHERE account_id = $3`

	// The lease is part of it: who lost it changes nothing any more.
	updateRoute = `
UPDATE account SET route = $1, switch_json = $2, switched_at_ms = CASE WHEN $1 = 'here' AND switched_at_ms = 0 THEN $3 ELSE switched_at_ms END
WHERE account_id = $4 AND route = $5 AND ($6 = 0 OR lease_epoch = $6)`

	updateDue = `
UPDATE account SET next_pass_at_ms = $2, priority = CASE WHEN priority < $3 THEN $3 ELSE priority END,
       attempt = 0, stuck = '', hint = ''
WHERE address = $1`

	updatePass = `
UPDATE account SET credential_refused = 0, last_pass_at_ms = $1, last_new_at_ms = CASE WHEN $2 > 0 THEN $2 ELSE last_new_at_ms END WHERE account_id = $3`

	upsertCredential = `
INSERT INTO credential (account_id, kind, sealed, created_at_ms) VALUES ($1, $2, $3, $4)
ON CONFLICT (account_id, kind) DO UPDATE SET sealed = excluded.sealed, created_at_ms = excluded.created_at_ms`

	upsertDomainCredential = `
INSERT INTO domain_credential (domain_id, kind, login_json, sealed, created_at_ms) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (domain_id) DO UPDATE SET kind = excluded.kind, login_json = excluded.login_json, sealed = excluded.sealed,
       created_at_ms = excluded.created_at_ms`

	selectDomainCredential = `SELECT login_json, sealed FROM domain_credential WHERE domain_id = $1`

	selectCredential = `SELECT sealed FROM credential WHERE account_id = $1 AND kind = $2`

	selectCredentialCount = `
SELECT count(*) FROM credential JOIN account ON account.account_id = credential.account_id WHERE domain_id = $1`
)
