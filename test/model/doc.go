// Package model is the append protocol of the mirror (DESIGN §5, reference: L1, L2, L3) as a machine small enough to
// look at every moment it can ever be in.
//
// state.go says what a moment is, engine.go, settle.go and world.go what can happen next (steps.go), invariants.go
// what must never be seen, search.go looks everywhere, trace.go tells how a moment came about. README.md has the
// figures, and what is assumed.
//
// refile.go is a second, smaller machine for filing anew (ADR 6).
//
// The daemon uses nothing of this. Where the package and daemon/mirror say different things, one of them is wrong.
package model
