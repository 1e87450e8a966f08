package crash

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"mailstork/daemon/mirror"
)

// judge tells what is wrong at rest.
func (b *Bench) judge(ctx context.Context, h History) error {
	if wrong := append(b.source.wrong, b.here.wrong...); len(wrong) > 0 {
		return fmt.Errorf("FORBIDDEN: %s", wrong[0])
	}
	found, err := b.ledger.CheckSettled(ctx, b.account.ID)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		return fmt.Errorf("LEDGER: %v", found)
	}
	parked, err := b.parked(ctx)
	if err != nil {
		return err
	}
	if err := b.count(parked); err != nil {
		return err
	}
	if err := b.notices(h); err != nil {
		return err
	}
	if err := b.blamed(ctx, h); err != nil {
		return err
	}
	if h.Action == Nothing {
		return errors.Join(b.same(parked), b.inOrder())
	}
	return b.marks()
}

// parked counts messages that nobody can tell about, by body.
func (b *Bench) parked(ctx context.Context) (map[string]int, error) {
	counts := map[string]int{}
	rows, err := b.store.Reader().QueryContext(ctx,
		`SELECT source_name, source_uid FROM message JOIN folder USING (folder_id) WHERE stage = 'parked'`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var uid uint32
		if err := rows.Scan(&name, &uid); err != nil {
			return nil, err
		}
		letters := b.source.folders[name].letters
		if i := slices.IndexFunc(letters, func(l letter) bool { return l.uid == uid }); i >= 0 {
			counts[letters[i].body]++
		}
	}
	return counts, rows.Err()
}

// count holds what took effect against what the source has: nothing lost (L1), twice (L2) or back (L3).
func (b *Bench) count(parked map[string]int) error {
	for p, n := range b.here.appended {
		if n > b.reached[p] && revision(p.body) == 0 {
			what := "TWICE"
			if b.here.removed[p.body] > 0 {
				what = "BACK"
			}
			return fmt.Errorf("%s: %q was stored %d times in %q, the source has it %d times", what, title(p.body), n, p.folder, b.reached[p])
		}
	}
	ours := map[place]int{}
	for name, f := range b.here.folders {
		for _, l := range withoutNotices(f.letters) {
			if l.ours {
				ours[place{name, l.body}]++
			}
		}
	}
	for p, n := range ours {
		if n > b.reached[p] && p.folder != kept {
			return fmt.Errorf("DOUBLE: %q is %d times in %q, the source has it %d times", title(p.body), n, p.folder, b.reached[p])
		}
	}
	atSource := map[string]int{}
	for name, f := range b.source.folders {
		for _, l := range f.letters {
			if b.scenario.labels == nil || name == allMail {
				atSource[l.body]++
			}
		}
	}
	if err := b.labelled(); err != nil {
		return err
	}
	for body, n := range atSource {
		if here := b.here.count(body); here+b.here.removed[body]+parked[body] < n {
			return fmt.Errorf("LOST: the source has %q %d times; %d are here, %d were deleted here, %d are parked", title(body), n, here, b.here.removed[body], parked[body])
		}
	}
	return nil
}

// same compares both sides where nobody but the mirror did anything.
func (b *Bench) same(parked map[string]int) error {
	if len(parked) > 0 {
		return fmt.Errorf("PARKED: %v, and nobody touched anything", parked)
	}
	if b.scenario.labels != nil {
		return b.asLabelled()
	}
	for name := range b.source.folders {
		there, here := b.source.contents(name), b.here.contents(name)
		if b.scenario.adopted { // what others stored keeps its flags
			there, here = bodies(there), bodies(here)
		}
		if !slices.Equal(there, here) {
			return fmt.Errorf("DIFFERENT: folder %q has %q there and %q here", name, there, here)
		}
	}
	return nil
}

func bodies(lines []string) (only []string) {
	for _, line := range lines {
		body, _, _ := strings.Cut(line, " | ")
		only = append(only, body)
	}
	return only
}

// blamed: the ledger does not say that the owner removed more here than he did. Known limit: before the switch, a removal
// of ours whose answer was lost is told as his.
func (b *Bench) blamed(ctx context.Context, h History) error {
	if !b.scenario.switched {
		return nil
	}
	n, most := 0, b.scenario.deleted()
	if strings.Contains(string(h.Action), "delete") || strings.Contains(string(h.Action), "move") {
		most++
	}
	err := b.store.Reader().QueryRowContext(ctx, `SELECT count(*) FROM message WHERE fate = 'deleted' AND reason LIKE '%here'`).Scan(&n)
	if err == nil && n > most {
		err = fmt.Errorf("BLAMED: the ledger says that %d messages were removed here, the owner removed %d", n, most)
	}
	return err
}

// inOrder: where the newest came first, the inbox has the order of the source in the end.
func (b *Bench) inOrder() error {
	if b.scenario.newest == 0 {
		return nil
	}
	order := func(w *world) (all []string) {
		for _, l := range withoutNotices(w.folders["INBOX"].letters) {
			if l.ours || w == b.source {
				all = append(all, title(l.body))
			}
		}
		return all
	}
	if there, here := order(b.source), order(b.here); !slices.Equal(there, here) {
		return fmt.Errorf("ORDER: the inbox has %q there and %q here", there, here)
	}
	return nil
}

// marks: what the owner flagged here stays flagged.
func (b *Bench) marks() error {
	for name, f := range b.here.folders {
		for _, l := range f.letters {
			if l.marked && !slices.Contains(l.flags, `\Flagged`) {
				return fmt.Errorf("FLAG: the owner's flag of %q in %q is gone", title(l.body), name)
			}
		}
	}
	return nil
}

func title(body string) string {
	_, after, _ := strings.Cut(body, "Subject: ")
	subject, _, _ := strings.Cut(after, "\r\n")
	return subject
}

// verify asks the mirror's own proof (I12).
func (b *Bench) verify(ctx context.Context) error {
	report, err := mirror.Verify(ctx, b.options(), mirror.VerifyOptions{Reread: true})
	b.sessions.Wait()
	if err != nil {
		return fmt.Errorf("VERIFY: %w", err)
	}
	if gaps := report.Unexplained(); len(gaps) > 0 {
		return fmt.Errorf("VERIFY: %v", gaps)
	}
	for _, f := range report.Folders {
		sum := 0
		for _, class := range mirror.Classes {
			sum += f.Classes[class]
		}
		if sum != f.Messages {
			return fmt.Errorf("VERIFY: folder %q has %d messages, %d are accounted for", f.Name, f.Messages, sum)
		}
	}
	return nil
}
