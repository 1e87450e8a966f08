// Command bench reads what the benchmark harness wrote (one JSON object per line) and prints the medians, the ratios that
// matter, and whether each is within what is wanted. It ends with 1 when a mailbox that mailstork copied differs from its
// source; a ratio that falls short only says so, since it depends on the machine.
//
//	go run ./test/bench RESULTS
package main
