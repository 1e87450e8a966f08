// Package provider is a fake old provider: an honest little IMAP server whose answers a profile bends, one quirk at a
// time, the way a real server was seen to bend them.
//
// store.go is what it holds, server.go its connections, answer.go what an honest server says, quirk.go how a profile
// changes that, profiles_*.go the profiles, page.go the page docs/quirks.md that is generated from them.
//
// One profile = one test = one row of the page: profiles_test.go runs production passes against each, with a real
// ledger, and holds what arrived against what the server has.
//
// Owns: the profiles. Never does: know what mailstork makes of an answer; help production code.
package provider

//go:generate go test -run TestThePageIsGeneratedFromTheProfiles -update .
