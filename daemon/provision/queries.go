package provision

// selectDomain reads inside the transaction that admits, so that a domain that is being closed admits nobody.
const selectDomain = `SELECT domain_id, state, accounts_policy FROM domain WHERE name = $1`

// selectShared counts the credentials of an account's domain.
const selectShared = `
SELECT count(*) FROM domain_credential JOIN account ON account.domain_id = domain_credential.domain_id WHERE account_id = $1`
