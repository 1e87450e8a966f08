// Package control is how people and programs speak to the daemon: HTTP with JSON over a Unix socket.
//
// Owns: the words on the wire (types.go), the server, the typed client, who may connect.
// Never does: deciding or storing; everything is asked of an Operator, which the daemon implements.
// Invariants: S1 (passwords travel only in the body of an import, are never echoed or logged).
// Failure behaviour: every failure is an Error with one sentence for people, the raw answer, and the next command.
package control
