// Package cutover decides when a domain may move on: has the world's mail turned to us, for good and everywhere?
//
// Stage 6 of 7.
// Owns: the decision (Decide, pure) and what must be remembered between observations (Memory).
// Never does: asking DNS (dnscheck does), changing a state (the daemon does, by account.DomainTransitions), finalizing.
// Input state → output state: open → cutover → draining → closed; back to open whenever a server names the source.
// Invariants: C1 (only proof moves a domain on; a server or resolver that lies or fails delays and never triggers).
// Failure behaviour: what is not known holds a domain where it is; a restart, a long silence or a clock that jumps
// costs time and never gains any.
// Tables: none of its own; domain.cutover_json holds Memory through the store.
//
// Time is counted, not read: only the time between two neighbouring observations that both agreed, measured by the
// monotonic clock of one process, is added to Memory.Watched, and every wait is a distance on that line. So a wall
// clock that jumps forward cannot make a wait end (reliability D2), and unwatched time never counts as agreement.
package cutover
