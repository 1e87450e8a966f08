package e2e

import (
	"fmt"
	"testing"

	"mailstork/test/site"
	"mailstork/test/testbed"
)

// Every letter goes to the source and, by SMTP, straight to us, as it happens while the world's DNS changes. Its owner
// deletes a third of them here before the mirror sees the source's copies.
func TestSplitDeliveryKeepsEveryLetterOnceOrGone(t *testing.T) { // L2, L3
	testbed.Need(t, "postfix")
	s := start(t, func(o *site.Options) { o.Postfix = true })
	owner := login(t, s, anna, annaPass)
	must(t, s.Postfix.SetRecipients(anna, bob))
	waitState(t, s, anna, "following")
	_, err := s.CLI("account", "pause", anna)
	must(t, err)

	const letters = 100
	name := func(i int) string { return fmt.Sprintf("both ways %d", i) }
	for i := range letters {
		must(t, s.Postfix.Send("carl@elsewhere.example", letterTo(anna, name(i)), anna))
		must(t, s.Source.Deliver("carl@elsewhere.example", letterTo(anna, name(i)), anna))
	}
	must(t, s.Source.Deliver("carl@elsewhere.example", letterTo(anna, "only at the source"), anna))
	must(t, site.Eventually(func() error {
		status, err := owner.Examine("INBOX")
		if err == nil && status.Messages < letters {
			err = fmt.Errorf("%d of %d letters have arrived by SMTP", status.Messages, letters)
		}
		return err
	}))
	_, err = owner.Select("INBOX")
	must(t, err)
	for i := 0; i < letters; i += 3 {
		uids, err := owner.Search(fmt.Sprintf("HEADER MESSAGE-ID %q", fmt.Sprintf("<both.ways.%d@elsewhere.example>", i)))
		must(t, err)
		must(t, owner.Delete(uids...))
	}
	_, err = s.CLI("account", "resume", anna)
	must(t, err)
	passes(t, s, anna, 3)

	for i := range letters {
		want := 1
		if i%3 == 0 {
			want = 0
		}
		if got := countSubject(t, owner, "INBOX", name(i)); got != want {
			t.Errorf("letter %d is here %d times, want %d", i, got, want)
		}
	}
	if got := countSubject(t, owner, "INBOX", "only at the source"); got != 1 {
		t.Errorf("the letter that only the source got is here %d times, want 1", got)
	}
}
