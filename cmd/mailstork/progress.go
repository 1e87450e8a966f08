package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"mailstork/daemon/control"
)

const (
	redrawInterval = 100 * time.Millisecond
	lineInterval   = 10 * time.Second // between plain lines
	rateWindow     = 10 * time.Second
)

// progress shows how a pass goes on: one line that is drawn again on a terminal, a plain line now and then elsewhere.
// It may be used from several goroutines.
type progress struct {
	out   io.Writer
	width func() int // of the terminal; nil when out is none
	now   func() time.Time

	mu      sync.Mutex
	shownAt time.Time
	shown   control.Pass
	drawn   bool   // a line without its end stands on the terminal
	written string // the last plain line
	samples []sample
}

type sample struct {
	at               time.Time
	messages, octets int64
}

func newProgress(out io.Writer, now func() time.Time) *progress {
	p := &progress{out: out, now: now}
	if file, ok := out.(*os.File); ok && isTerminal(out) {
		p.width = func() int {
			width, _, err := term.GetSize(int(file.Fd()))
			if err != nil || width < 20 {
				return 80
			}
			return width
		}
	}
	return p
}

// show takes the newest numbers. It decides itself whether it is time to write.
func (p *progress) show(pass control.Pass) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	p.sampleAt(now, pass)
	interval := lineInterval
	if p.width != nil {
		interval = redrawInterval
	}
	if now.Sub(p.shownAt) < interval && pass.Phase == p.shown.Phase {
		p.shown = pass
		return
	}
	p.shownAt, p.shown = now, pass
	p.write(p.line(pass))
}

// end writes the last state and leaves the cursor on a new line.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown == (control.Pass{}) {
		return
	}
	p.shownAt = p.now()
	p.write(p.line(p.shown))
	if p.drawn {
		fmt.Fprintln(p.out)
		p.drawn = false
	}
}

func (p *progress) write(line string) {
	if p.width == nil {
		if line != p.written {
			fmt.Fprintln(p.out, line)
		}
		p.written = line
		return
	}
	limit := p.width() - 1 // the last column would wrap
	if utf8.RuneCountInString(line) > limit {
		line = string([]rune(line)[:limit-1]) + "…"
	}
	fmt.Fprint(p.out, "\r"+line+"\x1b[K")
	p.drawn = true
}

func (p *progress) line(pass control.Pass) string {
	text := passInWords(pass)
	messages, left := p.rate(pass)
	if messages >= 0.1 {
		text += ", " + rateInWords(messages)
	}
	if left > 0 {
		text += ", " + span(left) + " left"
	}
	return text
}

func rateInWords(perSecond float64) string {
	if perSecond < 10 {
		return fmt.Sprintf("%.1f/s", perSecond)
	}
	return count(int64(perSecond)) + "/s"
}

// passInWords is "copying: folder 3 of 12, 4,120 of 9,800 (42 %) messages, 310 MiB of 800 MiB, in "Sent"".
func passInWords(pass control.Pass) string {
	var parts []string
	if pass.FoldersTotal > 0 {
		parts = append(parts, fmt.Sprintf("folder %d of %d", pass.Folders, pass.FoldersTotal))
	}
	if pass.MessagesTotal > 0 {
		parts = append(parts, doneOf(pass.Messages, pass.MessagesTotal)+" messages")
	}
	if pass.OctetsTotal > 0 {
		parts = append(parts, octets(pass.Octets)+" of "+octets(pass.OctetsTotal))
	}
	if pass.Folder != "" {
		parts = append(parts, fmt.Sprintf("in %q", clean(pass.Folder)))
	}
	return strings.TrimSuffix(clean(pass.Phase)+": "+strings.Join(parts, ", "), ": ")
}

func (p *progress) sampleAt(now time.Time, pass control.Pass) {
	if n := len(p.samples); n == 0 || now.Sub(p.samples[n-1].at) >= redrawInterval {
		p.samples = append(p.samples, sample{now, pass.Messages, pass.Octets})
	}
	for len(p.samples) > 2 && now.Sub(p.samples[1].at) >= rateWindow {
		p.samples = p.samples[1:]
	}
}

// rate is the speed over the last seconds and the time left at that speed: by octets when their total is known, since
// messages differ a thousandfold in size. Both are 0 while they can't be told.
func (p *progress) rate(pass control.Pass) (messagesPerSecond float64, left time.Duration) {
	first := p.samples[0]
	took := p.shownAt.Sub(first.at).Seconds()
	if took < 1 {
		return 0, 0
	}
	messagesPerSecond = float64(pass.Messages-first.messages) / took
	done, total, speed := pass.Messages, pass.MessagesTotal, messagesPerSecond
	if pass.OctetsTotal > 0 {
		done, total, speed = pass.Octets, pass.OctetsTotal, float64(pass.Octets-first.octets)/took
	}
	if speed <= 0 || done >= total {
		return messagesPerSecond, 0
	}
	seconds := float64(total-done) / speed
	return messagesPerSecond, time.Duration(min(seconds, 1e9)) * time.Second
}
