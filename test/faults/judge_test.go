package faults

import (
	"fmt"
	"maps"

	"mailstork/test/compare"
	"mailstork/test/testbed"
)

// place is where a message is; equal ones are counted.
type place struct {
	folder string
	digest compare.Digest
}

func placesOf(a compare.Account) map[place]int {
	found := map[place]int{}
	for name, folder := range a.Folders {
		for _, m := range folder.Messages {
			found[place{name, m.Digest}]++
		}
	}
	return found
}

// owner is somebody who cleans up while the mirror works.
type owner struct {
	client  *testbed.Client
	removed map[place]int // deleted, or moved away
	moved   map[place]int
}

const kept = "Kept" // the owner's own folder

// act deletes a message of the inbox and moves another one, when there are any.
func (o *owner) act() (done bool, err error) {
	status, err := o.client.Examine("INBOX")
	if err != nil || status.Messages < 3 {
		return false, err
	}
	all, err := compare.Read(o.client)
	if err != nil {
		return false, err
	}
	inbox := all.Folders["INBOX"].Messages
	if _, err := o.client.Select("INBOX"); err != nil {
		return false, err
	}
	first, third := inbox[0], inbox[2]
	if err := o.client.Delete(first.UID); err != nil {
		return false, err
	}
	if err := o.client.Move(kept, third.UID); err != nil {
		return false, err
	}
	o.removed[place{"INBOX", first.Digest}]++
	o.removed[place{"INBOX", third.Digest}]++
	o.moved[place{kept, third.Digest}]++
	return true, nil
}

// verdict is what a trial did to the account.
type verdict struct {
	lost, twice, back int
	unsettled         int // the program does not come to rest
	words             []string
}

func (v verdict) bad() bool { return v.lost+v.twice+v.back+v.unsettled > 0 }

func (v *verdict) say(format string, values ...any) {
	v.words = append(v.words, fmt.Sprintf(format, values...))
}

// judge compares what is here with what the source has and what the owner did.
func (o *owner) judge(source, here map[place]int) (v verdict) {
	want := maps.Clone(source)
	for p, n := range o.removed {
		want[p] -= n
	}
	for p, n := range o.moved {
		want[p] += n
	}
	for p, n := range want {
		if missing := n - here[p]; missing > 0 {
			v.lost += missing
			v.say("LOST %d× %x in %q", missing, p.digest[:4], p.folder)
		}
	}
	for p, n := range here {
		more := n - want[p]
		switch {
		case more > 0 && o.removed[p] > 0:
			v.back += more
			v.say("BACK %d× %x in %q", more, p.digest[:4], p.folder)
		case more > 0:
			v.twice += more
			v.say("TWICE %d× %x in %q", more, p.digest[:4], p.folder)
		}
	}
	return v
}
