// Package milter is the side door: it sees the letters that reach this server by SMTP.
//
// Stage: none of the seven; it runs beside them, next to Postfix.
// Owns: the table delivery: fingerprint, recipients, queue id and time of every letter for a domain of ours.
// Never does: rejecting, delaying beyond AnswerWithin, changing a letter, reading its body, resolving aliases.
// Input state → output state: none; it changes no account. A row is claimed later by the mirror (fate delivered).
// Invariants: L4 (mail delivered here is known as such), L3 (it is not imported once its owner has deleted it).
// Failure behaviour: fails open. Whatever goes wrong, Postfix is told to continue, the letter is counted as missed, and
// the mirror finds it by reading the destination. It must be the last milter of Postfix: what a later one refuses
// would be recorded although it was never delivered. So is a letter that bounces after Postfix took it (a full
// quota): a row says "taken by Postfix", not "stored"; queue_id leads to the rest of the story in the mail log.
// Tables: delivery.
package milter
