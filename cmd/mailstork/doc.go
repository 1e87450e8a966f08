// Command mailstork is the daemon and the commands that speak to it: noun, then verb, one file per noun.
//
// Owns: what people type and read. Never does: what the daemon does; every command but serve, copy and doctor asks it
// through the control API.
// Failure behaviour: one sentence, the raw answer, the next command, and an exit code of exitcode.go.
package main

//go:generate go test -run TestManPagesAreGeneratedFromTheCommands -update .
