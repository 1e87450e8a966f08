package destination_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mailstork/daemon/mirror/destination"
	"mailstork/daemon/mirror/wire"
	"mailstork/daemon/secret"
	"mailstork/test/testbed"
)

func TestFoldersAreMadeSubscribedAndListedWithTheirStatus(t *testing.T) {
	c := newLab(t, testbed.DestinationOptions{SpecialUse: map[string]string{"Inviata": `\Sent`}}).dial(t)
	name := wire.EncodeName("Büro") + "/" + wire.EncodeName("R&D 会議")
	for range 2 {
		for _, raw := range []string{name, "Inviata"} {
			if err := errors.Join(c.Create(ctx(t), raw), c.Subscribe(ctx(t), raw)); err != nil {
				t.Fatal(err)
			}
		}
	}
	b := c.BeginAppend(name)
	add(t, b, destination.Item{}, mail(1))
	got, err := b.Commit(ctx(t))
	if err != nil {
		t.Fatal(err)
	}
	folders, err := c.Folders(ctx(t))
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for _, f := range folders {
		seen = append(seen, fmt.Sprintf("%s %v %s %v %v", strings.Join(f.Name, "|"), f.Selectable, f.SpecialUse, f.Subscribed, f.Status.Messages))
		if f.Raw == name && (f.Status.UIDValidity != got.UIDValidity || f.Status.UIDNext != got.UIDs[0]+1 || !f.Status.HasHighestModSeq) {
			t.Errorf("status %+v does not fit %+v", f.Status, got)
		}
	}
	want := []string{"Büro false  false 0", "Büro|R&D 会議 true  true 1", "INBOX true  false 0", `Inviata true \Sent true 0`}
	slices.Sort(seen)
	if !slices.Equal(seen, want) {
		t.Errorf("got  %q\nwant %q", seen, want)
	}
	if c.Namespace() != (destination.Namespace{Separator: '/'}) {
		t.Errorf("namespace is %+v", c.Namespace())
	}
	if err = c.Create(ctx(t), "~no"); wire.Refused(err) == nil || c.Err() != nil {
		t.Errorf("got %v, want a refusal that leaves the connection", err)
	}
}

func TestChangesTellFlagsAndVanishedMessages(t *testing.T) {
	l := newLab(t, testbed.DestinationOptions{})
	c := l.dial(t)
	uids := fill(t, c, "INBOX", 20)
	before, err := c.Examine(ctx(t), "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	o := l.owner(t)
	if _, err = o.Select("INBOX"); err != nil {
		t.Fatal(err)
	}
	if err = errors.Join(o.Flag(uids[2:4], "+", `\Flagged`, "work"), o.Delete(uids[10:15]...), o.Delete(uids[0])); err != nil {
		t.Fatal(err)
	}
	if _, err = c.Examine(ctx(t), "INBOX"); err != nil {
		t.Fatal(err)
	}
	var changed []string
	vanished, err := c.Changes(ctx(t), before.HighestModSeq, func(e destination.Entry) error {
		changed = append(changed, fmt.Sprint(e.UID, e.Flags, e.ModSeq > before.HighestModSeq))
		return nil
	})
	if err != nil || !slices.Equal(changed, []string{`3 [\Flagged work] true`, `4 [\Flagged work] true`}) || vanished.String() != "1,11:15" {
		t.Errorf("got %q, vanished %v, %v", changed, vanished, err)
	}
	left, err := c.UIDs(ctx(t))
	if err != nil || len(left) != 14 || vanished.Contains(left[0]) {
		t.Errorf("left are %v, %v", left, err)
	}
}

// L4: what is not named stays, whatever flags it has.
func TestExpungeTouchesNamedMessagesOnly(t *testing.T) {
	l := newLab(t, testbed.DestinationOptions{RawLog: true})
	c := l.dial(t)
	uids := fill(t, c, "INBOX", 6)
	if _, err := c.Select(ctx(t), "INBOX"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.StoreFlags(ctx(t), uids[4:], destination.AddFlags, []string{`\Deleted`}); err != nil {
		t.Fatal(err)
	}
	if err := c.Expunge(ctx(t), append(uids[1:3], 999)); err != nil {
		t.Fatal(err)
	}
	left, err := c.UIDs(ctx(t))
	if err != nil || !slices.Equal(left, []uint32{1, 4, 5, 6}) {
		t.Errorf("left are %v, %v; the owner's own \\Deleted messages must stay", left, err)
	}
	if _, err = c.Examine(ctx(t), "INBOX"); err != nil {
		t.Fatal(err)
	}
	if err = c.Expunge(ctx(t), uids); err == nil {
		t.Error("expunged from a folder opened for reading")
	}
	commands, err := l.Commands()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range commands {
		if f := strings.Fields(line); len(f) > 1 && strings.EqualFold(f[1], "EXPUNGE") {
			t.Errorf("sent %q", line)
		}
	}
}

func TestStoreFlagsAddsRemovesAndReplaces(t *testing.T) {
	c := newLab(t, testbed.DestinationOptions{}).dial(t)
	uids := fill(t, c, "INBOX", 1)
	if _, err := c.Select(ctx(t), "INBOX"); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		change       destination.FlagChange
		flags        []string
		want, unkept string
	}{
		{destination.AddFlags, []string{`\seen`, "work", `\Odd`}, `\Seen work`, `\Odd`},
		{destination.RemoveFlags, []string{"work"}, `\Seen`, ""},
		{destination.AddFlags, []string{"a b"}, `\Seen`, "a b"},
		{destination.ReplaceFlags, []string{`\Flagged`, "x"}, `\Flagged x`, ""},
		{destination.ReplaceFlags, nil, "", ""},
	} {
		unkept, err := c.StoreFlags(ctx(t), uids, step.change, step.flags)
		if err != nil || strings.Join(unkept, " ") != step.unkept {
			t.Errorf("%v %v: unkept %q, %v", step.change, step.flags, unkept, err)
		}
		if err = c.List(ctx(t), destination.UIDRange{From: 1}, func(e destination.Entry) error {
			if got := strings.Join(e.Flags, " "); got != step.want {
				t.Errorf("%v %v: flags are %q, want %q", step.change, step.flags, got, step.want)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
}

func TestHeadersAreReadFromTheDestination(t *testing.T) {
	c := newLab(t, testbed.DestinationOptions{}).dial(t)
	uids := fill(t, c, "INBOX", 3)
	if _, err := c.Examine(ctx(t), "INBOX"); err != nil {
		t.Fatal(err)
	}
	got := map[uint32]string{}
	missing, err := c.Headers(ctx(t), append(uids, 77), []string{"Subject"}, func(uid uint32, h []byte) error {
		got[uid] = string(bytes.TrimSpace(h))
		return nil
	})
	if err != nil || !slices.Equal(missing, []uint32{77}) || got[2] != "Subject: letter 1" || len(got) != 3 {
		t.Errorf("got %v, missing %v, %v", got, missing, err)
	}
}

func TestAWrongMasterPasswordIsALoginErrorWithoutThePassword(t *testing.T) {
	l := newLab(t, testbed.DestinationOptions{})
	o := l.options()
	o.MasterPassword = secret.FromString("canary-4711")
	_, err := destination.Dial(ctx(t), o)
	var le *wire.LoginError
	if !errors.As(err, &le) || !le.Refused || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v, want a refused login", err)
	}
}

// fill appends n letters and returns their UIDs.
func fill(t testing.TB, c *destination.Conn, folder string, n int) []uint32 {
	t.Helper()
	b := c.BeginAppend(folder)
	for i := range n {
		add(t, b, destination.Item{}, mail(i))
	}
	got, err := b.Commit(ctx(t))
	if err != nil {
		t.Fatal(err)
	}
	return got.UIDs
}
