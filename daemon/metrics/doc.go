// Package metrics tells Prometheus what the daemon does.
//
// Owns: the names, labels and help texts of all metrics; the counters of what is kept nowhere else.
// Never does: keeping again what has a place of its own (the database, the guard, the milter): that is read when somebody
// asks. Listening and asking who asks belong to package control.
// Invariants: no label holds an address or anything else that a stranger typed; labels are domains and source hosts that an
// admin named, and words of closed sets. S1.
// Failure behaviour: when the database can't be read, mailstork_database_readable is 0 and what is read from it is missing.
package metrics
