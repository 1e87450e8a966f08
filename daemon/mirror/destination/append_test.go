package destination_test

import (
	"testing"
	"time"

	"mailstork/daemon/mirror/destination"
	"mailstork/test/testbed"
)

func TestABatchIsStoredWithItsUIDsInOrder(t *testing.T) {
	l := newLab(t, testbed.DestinationOptions{})
	c := l.dial(t)
	b := c.BeginAppend("INBOX")
	date := time.Date(2001, 2, 3, 4, 5, 6, 0, time.FixedZone("", 3600))
	for i := range 5 {
		add(t, b, destination.Item{Flags: []string{`\Seen`}, Keywords: []string{"$Forwarded"}, InternalDate: date}, letter(i))
	}
	got, err := b.Commit(ctx(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.UIDs) != 5 || got.UIDs[0] != 1 || got.UIDs[4] != 5 || got.UIDValidity == 0 {
		t.Errorf("got %+v, want the UIDs 1 to 5", got)
	}
	o := l.owner(t)
	if _, err = o.Examine("INBOX"); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		body, err := o.Content(got.UIDs[i])
		if err != nil || string(body) != string(letter(i)) {
			t.Errorf("UID %d holds %q (%v), want letter %d", got.UIDs[i], body, err, i)
		}
	}
}
