package testbed

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

func startMX(t *testing.T, o PostfixOptions) (*Dovecot, *Postfix) {
	t.Helper()
	Need(t, "dovecot", "postfix")
	lab := NewForTest(t)
	destination, err := lab.StartDestination(DestinationOptions{Accounts: map[string]string{anna: annaPassword}})
	if err != nil {
		t.Fatal(err)
	}
	o.Domains, o.LMTPAddress = []string{"example.org", "example.com"}, destination.LMTPAddress
	postfix, err := lab.StartPostfix(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := postfix.SetRecipients(anna); err != nil {
		t.Fatal(err)
	}
	return destination, postfix
}

func waitDelivered(t *testing.T, postfix *Postfix) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := postfix.QueueEmpty(ctx); err != nil {
		t.Fatal(err)
	}
}

func wantInINBOX(t *testing.T, d *Dovecot, subjects ...string) {
	t.Helper()
	client := mustLogin(t, d, anna, annaPassword)
	status, err := client.Select("INBOX")
	if err != nil {
		t.Fatal(err)
	}
	if status.Messages != len(subjects) {
		t.Errorf("got %d messages, want %d", status.Messages, len(subjects))
	}
	for _, subject := range subjects {
		if uids, err := client.Search(`SUBJECT "` + subject + `"`); err != nil || len(uids) != 1 {
			t.Errorf("%s: got UIDs %v and error %v, want one", subject, uids, err)
		}
	}
}

func TestLetterBySMTPOrSendmailReachesTheDestination(t *testing.T) {
	destination, postfix := startMX(t, PostfixOptions{})
	if err := postfix.Send("a@example.net", letter("by smtp"), anna); err != nil {
		t.Fatal(err)
	}
	if err := postfix.Sendmail("b@example.net", letter("by sendmail"), anna); err != nil {
		t.Fatal(err)
	}
	waitDelivered(t, postfix)
	wantInINBOX(t, destination, "by smtp", "by sendmail")
}

func TestRecipientFileIsObeyedFromTheNextLetterOn(t *testing.T) {
	destination, postfix := startMX(t, PostfixOptions{})
	if err := postfix.Send("a@example.net", letter("none"), "new@example.org"); err == nil || !strings.Contains(err.Error(), "5.1.1") {
		t.Errorf("got %v, want 5.1.1", err)
	}
	if err := postfix.SetRecipients(anna, "new@example.org"); err != nil {
		t.Fatal(err)
	}
	if err := postfix.SetAliases(map[string][]string{"team@example.com": {anna}}); err != nil {
		t.Fatal(err)
	}
	if err := destination.ListAccount("new@example.org"); err != nil {
		t.Fatal(err)
	}
	if err := postfix.Send("a@example.net", letter("for two"), "new@example.org", "team@example.com"); err != nil {
		t.Fatal(err)
	}
	waitDelivered(t, postfix)
	wantInINBOX(t, destination, "for two")
}

func TestLettersWaitForADestinationThatIsAway(t *testing.T) {
	destination, postfix := startMX(t, PostfixOptions{})
	if err := destination.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := postfix.Send("a@example.net", letter("patient"), anna); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := postfix.QueueEmpty(short); err == nil {
		t.Error("the letter left the queue")
	}
	if err := destination.Start(); err != nil {
		t.Fatal(err)
	}
	if err := postfix.Flush(); err != nil {
		t.Fatal(err)
	}
	waitDelivered(t, postfix)
	wantInINBOX(t, destination, "patient")
}

func TestDeadMilterHoldsUpNoLetter(t *testing.T) {
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	destination, postfix := startMX(t, PostfixOptions{MilterAddress: fmt.Sprintf("127.0.0.1:%d", port)})
	began := time.Now()
	if err := postfix.Send("a@example.net", letter("unseen"), anna); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("sending took %s", took)
	}
	waitDelivered(t, postfix)
	wantInINBOX(t, destination, "unseen")
	if log := tail(postfix.LogFile, 100); !strings.Contains(log, "connect to Milter service") {
		t.Errorf("Postfix did not try the milter:\n%s", log)
	}
}

func TestThirtyMegabytesPassThroughPostfix(t *testing.T) {
	destination, postfix := startMX(t, PostfixOptions{})
	big := append(letter("big"), bytes.Repeat([]byte(strings.Repeat("x", 70)+"\r\n"), 30<<20/72)...)
	if err := postfix.Send("a@example.net", big, anna); err != nil {
		t.Fatal(err)
	}
	waitDelivered(t, postfix)
	wantInINBOX(t, destination, "big")
}
