package mirror_test

import (
	"context"
	"database/sql"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror"
)

// ordered runs a pass with orders and tells how often they were obeyed.
func (l *lab) ordered(o mirror.Orders) (obeyed int) {
	l.t.Helper()
	o.Obeyed = func(context.Context, *sql.Tx) error { obeyed++; return nil }
	l.options.Orders = o
	l.pass()
	l.options.Orders = mirror.Orders{}
	return obeyed
}

func TestParkedMessageIsCopiedAgainWhenAnOperatorSaysSo(t *testing.T) {
	l := newLab(t, labOptions{})
	l.put("INBOX", 1, 2)
	l.inDoubt()
	l.do(l.here.Delete(l.find(l.here, "INBOX", 1)))
	l.pass()
	l.wantRows(map[string]int{"copied": 1, "parked": 1})
	if n := l.ordered(mirror.Orders{CopyParked: true}); n != 1 {
		t.Errorf("obeyed %d times", n)
	}
	l.pass()
	l.wantNumbers("INBOX", 1, 2)
	l.wantRows(map[string]int{"copied": 2})
}

func TestParkedMessageThatIsStillHereIsNotDoubledByAnOrder(t *testing.T) { // L2
	l := newLab(t, labOptions{})
	l.put("INBOX", 1, 2)
	l.inDoubt()
	l.do(l.here.Create("Friends"))
	l.do(l.here.Delete(l.find(l.here, "INBOX", 1)))
	l.pass()
	_, err := l.here.Command("APPEND INBOX {%d+}\r\n%s", len(letterN(1)), letterN(1)) // its owner puts it back
	l.do(err)
	l.ordered(mirror.Orders{CopyParked: true})
	l.wantNumbers("INBOX", 1, 2)
	l.wantRows(map[string]int{"copied": 2})
}

func TestParkedMessageIsLeftWhenAnOperatorSaysSo(t *testing.T) { // L3
	l := newLab(t, labOptions{})
	l.put("INBOX", 1, 2)
	l.inDoubt()
	l.do(l.here.Delete(l.find(l.here, "INBOX", 1)))
	l.pass()
	l.ordered(mirror.Orders{LeaveParked: true})
	l.pass()
	l.wantNumbers("INBOX", 2)
	l.wantRows(map[string]int{"copied": 1, "deleted": 1})
}

func TestRefusedMessageIsTriedAgainWhenAnOperatorSaysSo(t *testing.T) {
	l := newLab(t, labOptions{})
	l.put("INBOX", 1, 2, 3)
	var taken atomic.Bool
	p := newProxy(t, l.dest.IMAPAddress, rules{refuse: func(command string) string {
		if !taken.Load() && strings.HasPrefix(command, "APPEND") {
			return "NO [CANNOT] not this one"
		}
		return ""
	}})
	l.options.Destination = l.to(p.address())
	l.pass()
	l.wantRows(map[string]int{"refused": 3})
	var files []string
	exceptions, err := l.ledger.Exceptions(l.ctx(), l.account.ID)
	l.do(err)
	for _, e := range exceptions {
		files = append(files, e.KeptFile)
	}
	l.ordered(mirror.Orders{Retry: true}) // refused again: the bytes stay
	l.wantRows(map[string]int{"refused": 3})
	for _, file := range files {
		if _, err := os.Stat(file); err != nil {
			t.Errorf("the bytes of a message that is refused again are gone: %v", err)
		}
	}
	l.do(l.there.Delete(l.find(l.there, "INBOX", 3))) // can't be had any more: its file is all there is
	l.pass()
	taken.Store(true)
	l.ordered(mirror.Orders{Retry: true})
	l.wantNumbers("INBOX", 1, 2)
	left := 0
	for _, file := range files {
		if _, err := os.Stat(file); err == nil {
			left++
		}
	}
	if left != 1 {
		t.Errorf("%d files are left, want the one of the message that has left the source", left)
	}
	exceptions, err = l.ledger.Exceptions(l.ctx(), l.account.ID)
	if err != nil || len(exceptions) != 1 || exceptions[0].Fate != ledger.Refused || exceptions[0].KeptFile == "" {
		t.Errorf("exceptions are %+v %v", exceptions, err)
	}
}
