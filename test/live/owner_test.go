package live

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"mailstork/test/testbed"
)

// letter is one message, and where its owner was told that it is.
type letter struct {
	folder  string // empty: deleted
	flagged bool
	// loose: the connection broke over it, so that nobody was told what became of it. It may be in one place or in none.
	loose bool
}

// owner is somebody with a mail program that never stops: it reads, moves, deletes, flags and appends, remembers
// everything that it was told, and comes back when its connection breaks.
type owner struct {
	t                 *testing.T
	server            *testbed.Dovecot
	address, password string
	dice              *rand.Rand
	client            *testbed.Client
	letters           map[string]*letter
	next              int

	did     map[string]int
	breaks  int           // connections that ended under the program
	refused int           // logins that were answered "try later"
	without time.Duration // how long it had none, at most, since the first login
	entered bool
}

var ownersFolders = []string{"INBOX", "Work", "Later"}

func newOwner(t *testing.T, server *testbed.Dovecot, address, password string) *owner {
	seed := rand.Uint64()
	t.Logf("%s has the seed %d", address, seed)
	return &owner{t: t, server: server, address: address, password: password, dice: rand.New(rand.NewPCG(seed, 1)),
		letters: map[string]*letter{}, did: map[string]int{}}
}

func (o *owner) text(id string, octets int) []byte {
	head := fmt.Sprintf("From: Carl <carl@elsewhere.example>\r\nTo: <%s>\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\nSubject: letter %s\r\nMessage-ID: <%s@owner.example>\r\n\r\n", o.address, id, id)
	return []byte(head + strings.Repeat("Nothing new under the sun here.\r\n", octets/33+1))
}

func (o *owner) newID() string {
	o.next++
	return fmt.Sprintf("l%d", o.next)
}

// seed fills the source before anything is moved.
func (o *owner) seed(source *testbed.Dovecot, messages, octets int) {
	o.t.Helper()
	c, err := source.Login(o.address, o.password)
	must(o.t, err)
	for i, folder := range ownersFolders {
		if i > 0 {
			must(o.t, c.Create(folder))
		}
		var batch []testbed.Message
		for range messages / len(ownersFolders) {
			id := o.newID()
			o.letters[id] = &letter{folder: folder}
			batch = append(batch, testbed.Message{Date: time.Unix(1_700_000_000+int64(o.next), 0), Content: o.text(id, octets)})
		}
		_, err := c.AppendAll(folder, batch)
		must(o.t, err)
	}
	must(o.t, c.Close())
}

// enter logs in, as often as it takes, and looks whether everything is as it was left.
func (o *owner) enter() {
	o.t.Helper()
	began := time.Now()
	for {
		client, err := o.server.Login(o.address, o.password)
		if err == nil {
			o.client = client
			break
		}
		var refused *testbed.StatusError
		if errors.As(err, &refused) && strings.HasPrefix(refused.Text, "[AUTHENTICATIONFAILED]") {
			o.t.Fatalf("the right password was called wrong: %v", err)
		}
		if o.refused++; time.Since(began) > time.Minute {
			o.t.Fatalf("nobody let the owner in for a minute: %v", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if o.entered {
		o.without = max(o.without, time.Since(began))
	}
	o.entered = true
	o.check("after a login")
}

// leave logs out.
func (o *owner) leave() {
	if o.client != nil {
		_ = o.client.Close() // it may be broken
		o.client = nil
	}
}

// work goes on until done, at the pace of somebody in a hurry.
func (o *owner) work(done func() bool) {
	o.t.Helper()
	ticker := time.NewTicker(15 * time.Millisecond)
	defer ticker.Stop()
	for !done() && !o.t.Failed() {
		if o.client == nil {
			o.enter()
			continue
		}
		what, err := o.act()
		var answered *testbed.StatusError
		switch {
		case err == nil:
			o.did[what]++
		case errors.As(err, &answered):
			o.t.Fatalf("%s: %v", what, err)
		default:
			o.breaks++
			o.client.Cut()
			o.client = nil
		}
		<-ticker.C
	}
}

func (o *owner) act() (what string, err error) {
	switch n := o.dice.IntN(10); {
	case n < 3:
		return "append", o.append()
	case n < 5:
		return "move", o.change(func(id string, l *letter, uid uint32) error {
			to := ownersFolders[o.dice.IntN(len(ownersFolders))]
			if to == l.folder {
				return nil
			}
			return o.tell(l, func() error { return o.client.Move(to, uid) }, func() { l.folder = to })
		})
	case n < 7:
		return "delete", o.change(func(id string, l *letter, uid uint32) error {
			return o.tell(l, func() error { return o.client.Delete(uid) }, func() { l.folder = "" })
		})
	case n < 9:
		return "flag", o.change(func(id string, l *letter, uid uint32) error {
			return o.tell(l, func() error { return o.client.Flag([]uint32{uid}, "+", `\Flagged`) }, func() { l.flagged = true })
		})
	}
	return "read", o.read()
}

// tell changes what the owner believes when the server has said OK, and leaves it open when nobody said anything.
func (o *owner) tell(l *letter, command func() error, believe func()) error {
	l.loose = true
	if err := command(); err != nil {
		return err
	}
	l.loose = false
	believe()
	return nil
}

func (o *owner) append() error {
	id, folder := o.newID(), ownersFolders[o.dice.IntN(len(ownersFolders))]
	l := &letter{}
	o.letters[id] = l
	return o.tell(l, func() error {
		_, err := o.client.Append(folder, nil, time.Unix(1_700_000_000+int64(o.next), 0), o.text(id, 500))
		return err
	}, func() { l.folder = folder })
}

// change picks a letter and finds it in its folder.
func (o *owner) change(with func(id string, l *letter, uid uint32) error) error {
	ids := o.sure()
	if len(ids) == 0 {
		return nil
	}
	id := ids[o.dice.IntN(len(ids))]
	l := o.letters[id]
	if _, err := o.client.Select(l.folder); err != nil {
		return err
	}
	uids, err := o.client.Search(fmt.Sprintf("HEADER MESSAGE-ID %q", "<"+id+"@owner.example>"))
	if err != nil {
		return err
	}
	if len(uids) != 1 {
		o.t.Fatalf("letter %s is %d times in %s", id, len(uids), l.folder)
	}
	return with(id, l, uids[0])
}

// sure are the letters of which the owner knows where they are.
func (o *owner) sure() (ids []string) {
	for id, l := range o.letters {
		if !l.loose && l.folder != "" {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (o *owner) read() error {
	folder := ownersFolders[o.dice.IntN(len(ownersFolders))]
	s, err := o.client.Select(folder)
	if err != nil || s.Messages == 0 {
		return err
	}
	_, err = o.client.Command("FETCH %d (FLAGS BODY.PEEK[])", 1+o.dice.IntN(s.Messages))
	return err
}

var messageID = regexp.MustCompile(`<(l[0-9]+)@owner\.example>`)

// place is a letter as a listing shows it.
type place struct {
	folder  string
	flagged bool
}

func list(c *testbed.Client) (map[string][]place, error) {
	found := map[string][]place{}
	for _, folder := range ownersFolders {
		s, err := c.Examine(folder)
		if err != nil {
			return nil, err
		}
		if s.Messages == 0 {
			continue
		}
		lines, err := c.Command("UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
		if err != nil {
			return nil, err
		}
		for _, line := range lines {
			if id := messageID.FindStringSubmatch(line.String()); id != nil {
				found[id[1]] = append(found[id[1]], place{folder, strings.Contains(line.String(), `\Flagged`)})
			}
		}
	}
	return found, nil
}

// check compares what is there with what the owner was told. A connection that breaks meanwhile is no difference.
func (o *owner) check(when string) {
	o.t.Helper()
	found, err := list(o.client)
	if err != nil {
		var answered *testbed.StatusError
		if errors.As(err, &answered) {
			o.t.Fatalf("%s: %v", when, err)
		}
		o.client.Cut()
		o.client = nil
		o.breaks++
		return
	}
	wrong := 0
	for id, l := range o.letters {
		there := found[id]
		right := slices.Equal(there, []place{{l.folder, l.flagged}}) || l.folder == "" && len(there) == 0
		if l.loose {
			right = len(there) <= 1
		}
		if !right {
			if wrong++; wrong <= 10 {
				o.t.Errorf("%s: letter %s is at %+v, and its owner was told %+v", when, id, there, *l)
			}
		}
	}
	for id := range found {
		if o.letters[id] == nil {
			o.t.Errorf("%s: letter %s was never there", when, id)
		}
	}
	if wrong > 10 {
		o.t.Errorf("%s: %d letters are wrong", when, wrong)
	}
}

// checkFresh is check with a session of its own.
func (o *owner) checkFresh(when string) {
	o.t.Helper()
	o.leave()
	c, err := o.server.Login(o.address, o.password)
	must(o.t, err)
	o.client = c
	o.check(when)
	o.leave()
}
