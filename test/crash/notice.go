package crash

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"mailstork/daemon/mirror"
)

// teller writes the notice to the owner.
type teller struct{}

const noticeTitle = "notice "

func (teller) Letter(revision int, s mirror.Standing) ([]byte, error) {
	return fmt.Appendf(nil, "Subject: %s%d\r\nMessage-ID: <notice.%d@example.org>\r\n\r\n%d of %d, complete: %v\r\n", noticeTitle, revision, revision, s.Copied, s.Messages, s.Complete), nil
}

func (teller) Revision(id string) (revision int, ours bool) {
	_, err := fmt.Sscanf(id, "<notice.%d@example.org>", &revision)
	return revision, err == nil
}

// revision is that of a notice; 0 for every other message.
func revision(body string) (n int) {
	_, _ = fmt.Sscanf(title(body), noticeTitle+"%d", &n)
	return n
}

// tookNotice notes that the owner took the notice out of the inbox: no revision is begun any more (L3). After a crash two
// may be here, or on their way: then he has not taken the last one.
func (b *Bench) tookNotice(l letter) {
	other := slices.ContainsFunc(b.here.folders["INBOX"].letters, func(l letter) bool { return revision(l.body) > 0 })
	if revision(l.body) == 0 || other || len(b.ghosts) > 0 {
		return
	}
	if n, err := b.ledger.Notice(context.Background(), b.account.ID); err == nil {
		b.begun = n.Revision
	}
}

// notices: at rest there is one notice with the last text, or what its owner left of it. No revision was stored twice.
func (b *Bench) notices(h History) error {
	for p, n := range b.here.appended {
		if revision(p.body) > 0 && n > 1 {
			return fmt.Errorf("NOTICE: %q was stored %d times", title(p.body), n)
		}
	}
	var here []letter
	for _, l := range b.here.folders["INBOX"].letters {
		if revision(l.body) > 0 {
			here = append(here, l)
		}
	}
	untouched := b.scenario.notice && h.Action == Nothing
	// Known limit: taken away between the look at it and the next revision, and a crash before that is confirmed.
	known := h.When == InPass && h.Second.Kind != NoFault
	switch {
	case len(here) > 1:
		return fmt.Errorf("NOTICE: %q and %q are both here", title(here[0].body), title(here[1].body))
	case untouched && (len(here) == 0 || !strings.Contains(here[0].body, "complete: true")):
		return fmt.Errorf("NOTICE: at the end there is %+v", here)
	case !known && b.begun > 0 && len(here) > 0 && revision(here[0].body) > b.begun:
		return fmt.Errorf("NOTICE BACK: its owner took one away when %d were begun, and %q is here", b.begun, title(here[0].body))
	}
	return nil
}

// withoutNotices are the messages of a folder that the mirror has to account for.
func withoutNotices(letters []letter) []letter {
	return slices.DeleteFunc(slices.Clone(letters), func(l letter) bool { return revision(l.body) > 0 })
}
