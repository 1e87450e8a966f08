package crash

import (
	"flag"
	"os/exec"
	"strings"
	"testing"

	mutate "mailstork/test/mutant"
)

var mutants = flag.Bool("mutants", false, "take parts of the protocol out of the engine and see the matrix fail")

// mutant is the engine without one part of the protocol. Every old text stands exactly once in its file.
type mutant struct {
	claim string
	file  string
	edits [][2]string // old, new
	shown string      // the word of the oracle
	only  string      // the scenario that shows it soonest
}

var allMutants = []mutant{
	{"without the fence a message is stored twice", "pass.go",
		[][2]string{{"if err := r.Fence(ctx); err != nil {", "if err := ctx.Err(); err != nil {"}}, "TWICE", ""},
	{"without intents a message is stored twice", "copy.go",
		[][2]string{
			{"if err := tx.Confirm(row.Key, row.Place); err != nil {", "row.Fate, row.Appended = ledger.Copied, true\n\t\t\tif err := tx.Add(row); err != nil {"},
			{"return tx.Intend(intended)", "return nil"},
		}, "TWICE", ""},
	{"without the vanished check a deleted message comes back", "settle.go",
		[][2]string{{"case gaps == 0, whole", "case gaps >= 0, whole"}}, "BACK", ""},
	{"without the intent of filing anew the owner is blamed", "refile.go",
		[][2]string{
			{"return tx.Refile(rows)", "return nil"},
			{"place.UID = copied.To[slices.Index(copied.From, row.Place.UID)]\n\t\t\tif err := tx.Refiled(row.Key, place)", "place.UID = copied.To[slices.Index(copied.From, row.Place.UID)]\n\t\t\tif err := tx.SetPlace(row.Key, place)"},
		}, "BLAMED", "newest-first"},
	{"without a look for second copies a message is here twice", "refile.go",
		[][2]string{{"if uid >= row.Intent.UIDNext {", "if uid > 1<<31 {"}}, "DOUBLE", "newest-first"},
	{"a message is lost if its twin was moved and is taken for it", "recover.go",
		[][2]string{{"if twin {", "if twin && false {"}}, "LOST", "one-by-one"},
	{"a letter that is archived at the source does not come into the archive if what was skipped stays so", "gathered.go",
		[][2]string{{"return !holds\n}", "return holds && !holds\n}"}}, "DIFFERENT", "labels-removed"},
	{"a letter that its owner deleted comes back through all mail if its row does not follow it", "plan.go",
		[][2]string{{"if p.ours(row) && !p.view.Policy.Switched && !d.isRenewed", "if !p.view.Policy.Switched && !d.isRenewed"}}, "BACK", "labels-removed-and-deleted"},
}

func TestMatrixNoticesWhenAPartOfTheProtocolIsMissing(t *testing.T) {
	if !*mutants {
		t.Log("only with -mutants (make crash): each builds the engine anew")
		return
	}
	for _, m := range allMutants {
		t.Run(m.claim, func(t *testing.T) {
			out, err := exec.Command("go", "test", "-overlay", m.overlay(t), "-count=1", "-run", "^TestNothing", "-full", "-thin", "8", "-seed", "7", "-until", m.shown+":", "-only", m.only, ".").CombinedOutput()
			if err == nil {
				t.Fatalf("nobody noticed:\n%s", out)
			}
			if !strings.Contains(string(out), m.shown+":") {
				t.Errorf("want %s; it was noticed as:\n%s", m.shown, out)
			}
			for line := range strings.Lines(string(out)) {
				if strings.Contains(line, m.shown+":") {
					t.Log(strings.TrimSpace(line))
					break
				}
			}
		})
	}
}

// overlay is the file that tells the compiler to take the changed one.
func (m mutant) overlay(t *testing.T) string {
	overlay, err := mutate.Overlay(t.TempDir(), "../../daemon/mirror/"+m.file, m.edits)
	if err != nil {
		t.Fatal(err)
	}
	return overlay
}
