package provision

// selectDomain reads inside the transaction that admits, so that a domain that is being closed admits nobody.
const selectDomain = `SELECT domain_id, state, accounts_policy FROM domain WHERE name = $1`
