package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/control"
)

func pass(messages int64) control.Pass {
	return control.Pass{Phase: "copying", Folder: "Sent", Folders: 3, FoldersTotal: 12, Messages: messages, MessagesTotal: 9_800,
		Octets: messages * 1000, OctetsTotal: 9_800_000}
}

func TestProgressOnATerminalIsOneLineThatFits(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	var out bytes.Buffer
	width := 200
	p := newProgress(&out, func() time.Time { return now })
	p.width = func() int { return width }
	for i := range int64(400) { // 10 s, 25 ms apart
		p.show(pass(i * 10))
		now = now.Add(25 * time.Millisecond)
	}
	lines := strings.Split(out.String(), "\r")
	if len(lines) < 80 || len(lines) > 102 {
		t.Errorf("drawn %d times in 10 s", len(lines)-1)
	}
	want := `copying: folder 3 of 12, 3,960 of 9,800 (40 %) messages, 3.8 MiB of 9.3 MiB, in "Sent", 400/s, 14 s left`
	if got := strings.TrimSuffix(lines[len(lines)-1], "\x1b[K"); got != want {
		t.Errorf("last line\n got %q\nwant %q", got, want)
	}
	width = 40
	out.Reset()
	p.end()
	if got := out.String(); len([]rune(strings.TrimSpace(got))) > 1+width+3 || !strings.HasSuffix(got, "…\x1b[K\n") {
		t.Errorf("narrow terminal: %q", got)
	}
}

func TestProgressElsewhereIsAPlainLineNowAndThen(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	var out bytes.Buffer
	p := newProgress(&out, func() time.Time { return now })
	p.show(control.Pass{Phase: "listing"})
	for i := range int64(260) { // 26 s
		p.show(pass(i))
		now = now.Add(100 * time.Millisecond)
	}
	p.end()
	want := `listing
copying: folder 3 of 12, 0 of 9,800 (0 %) messages, 0 B of 9.3 MiB, in "Sent"
copying: folder 3 of 12, 100 of 9,800 (1 %) messages, 98 KiB of 9.3 MiB, in "Sent", 10/s, 16 min left
copying: folder 3 of 12, 200 of 9,800 (2 %) messages, 195 KiB of 9.3 MiB, in "Sent", 10/s, 16 min left
copying: folder 3 of 12, 259 of 9,800 (2 %) messages, 253 KiB of 9.3 MiB, in "Sent", 9.9/s, 16 min left
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestProgressThatNeverBeganWritesNothing(t *testing.T) {
	var out bytes.Buffer
	newProgress(&out, time.Now).end()
	if out.Len() > 0 {
		t.Errorf("got %q", out.String())
	}
}
