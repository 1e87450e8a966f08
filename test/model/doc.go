// Package model is the append protocol of the mirror (DESIGN §5, reference: L1, L2, L3) as a machine small enough to
// look at every moment it can ever be in.
//
// state.go says what a moment is, steps.go, engine.go, settle.go and world.go what can happen next, invariants.go what
// must never be seen, search.go looks everywhere, trace.go tells how a moment came about. README.md has the figures,
// and what is assumed.
//
// Nothing here is used by the daemon. The Protocol of this package and daemon/mirror must say the same.
package model
