// Package mutant takes a part out of a source file for one build, so that a test can show that somebody notices.
package mutant

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Overlay writes the file with each old text replaced by the new one, and returns the file for go's -overlay. Every
// old text stands exactly once in the file: when the file changes, so must the mutant.
func Overlay(dir, file string, edits [][2]string) (string, error) {
	original, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(original)
	if err != nil {
		return "", err
	}
	changed := string(text)
	for _, edit := range edits {
		if n := strings.Count(changed, edit[0]); n != 1 {
			return "", fmt.Errorf("%s has %q %d times: the code has changed, so must this mutant", file, edit[0], n)
		}
		changed = strings.Replace(changed, edit[0], edit[1], 1)
	}
	mutated, overlay := filepath.Join(dir, filepath.Base(file)), filepath.Join(dir, "overlay.json")
	plan, err := json.Marshal(map[string]any{"Replace": map[string]string{original: mutated}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(mutated, []byte(changed), 0o600); err != nil {
		return "", err
	}
	return overlay, os.WriteFile(overlay, plan, 0o600)
}
