package provision

// selectDomain reads inside the transaction that admits, so that a domain that is being closed admits nobody.
const selectDomain = `SELECT domain_id, state, accounts_policy FROM domain WHERE name = $1`

// selectUnneeded counts the reasons why no password of an account is borrowed: a credential of its domain, or no mail to copy.
const selectUnneeded = `
SELECT domain.passwords_only + (SELECT count(*) FROM domain_credential WHERE domain_credential.domain_id = domain.domain_id)
FROM domain JOIN account ON account.domain_id = domain.domain_id WHERE account_id = $1`
