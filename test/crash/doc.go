// Package crash runs the production engine (mirror.Pass, mirror.Verify, the real ledger in a real SQLite file) against two
// IMAP servers in this process, and makes something fail at every place where something can fail, once and again during
// recovery. What test/model proves of the protocol, this shows of the program.
//
// world.go is what a server keeps, session.go the IMAP that it speaks, fault.go what can go wrong and when, bench.go one
// account with its clock and ledger, history.go one history from the first pass to the last check, oracle.go what must
// hold then, notice.go the same for the letter to the owner, labels.go for a source whose folders are labels, matrix.go all histories.
// mutants_test.go takes the fence, the intents and the vanished check out of the
// engine, one at a time: each time the matrix must notice.
//
//	go test ./test/crash                          # a sample, seconds
//	make crash                                    # everything, and the mutants
//	go test ./test/crash -run TestHistory -history 'HISTORY'   # one that failed
package crash
