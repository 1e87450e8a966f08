package provider

import "slices"

// Profile is one quirk: what the server does, where that was seen, and what comes of it.
type Profile struct {
	Name   string // a short phrase without spaces
	Server string // what the server does differently
	Seen   string // server, version, source
	Does   string // what mailstork does about it
	// Reads is what the operator reads, word for word a part of what a pass tells; "" means that there is nothing to
	// tell, and that nothing is told.
	Reads string

	Quirk
	Outcome
}

// Outcome says how an account with the quirk ends up when it is not a plain copy of everything.
type Outcome struct {
	Passes int               // until everything is here; 0 means 1
	Places map[string]string // source name → destination name, where they differ
	// Arrives returns the message as it shall be here, nil for one that can't come: then its folder has a problem.
	Arrives func(f *Folder, m *Message) *Message
	// Never: no pass can bring anything; the error says why.
	Never bool
	// Idle: the server falls silent, so a short deadline is set.
	Idle bool
}

// Group is one heading of the page.
type Group struct {
	Title    string
	Profiles []Profile
}

// Groups are all profiles in the order of the page.
func Groups() []Group {
	return []Group{
		{"Replies that end other programs' connections", replies()},
		{"Lists of folders", folders()},
		{"Dates", dates()},
		{"Flags", flags()},
		{"Sizes and bodies", bodies()},
		{"UIDs and modseqs", uids()},
		{"Words that are not kept", promises()},
		{"Refusals and farewells", refusals()},
		{"Particular providers", providers()},
	}
}

// All are all profiles.
func All() (all []Profile) {
	for _, g := range Groups() {
		all = slices.Concat(all, g.Profiles)
	}
	return all
}
