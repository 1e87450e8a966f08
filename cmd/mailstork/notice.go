package main

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
)

// noticeFlags say what the owners of a domain's accounts are told.
type noticeFlags struct {
	set                     *pflag.FlagSet
	welcome, language, from string
}

const languageHelp = "language of the letter to its owner: de, en, es, fr, it, nl, pl, pt (`CODE`)"

func (f *noticeFlags) register(c *cobra.Command) {
	f.set = c.Flags()
	f.set.StringVar(&f.welcome, "welcome", "no", "put a letter into the inbox of whoever logs in here, which says how far the move is and is replaced as it goes on: yes or no")
	f.set.StringVar(&f.language, "language", "", languageHelp+"; an account may have another one")
	f.set.StringVar(&f.from, "notice-from", "", "`ADDRESS` that this letter comes from (default postmaster of the domain)")
}

func (f *noticeFlags) options() (o control.NoticeOptions, err error) {
	if f.set.Changed("welcome") {
		if f.welcome != "yes" && f.welcome != "no" {
			return o, fmt.Errorf("--welcome %q is neither yes nor no", f.welcome)
		}
		welcome := f.welcome == "yes"
		o.Welcome = &welcome
	}
	if f.set.Changed("language") {
		o.Language = &f.language
		if _, err := account.ParseLanguage(f.language); err != nil {
			return o, fmt.Errorf("--language: %w", err)
		}
	}
	if f.set.Changed("notice-from") {
		o.Sender = &f.from
	}
	return o, nil
}

// noticeInWords is what owners are told, "" for nothing.
func noticeInWords(n account.Notice) string {
	if !n.Welcome {
		return ""
	}
	text := "a letter in the inbox says how far the move is; language " + cmp.Or(string(n.Language), "en")
	if n.Sender != "" {
		text += ", from " + string(n.Sender)
	}
	return text
}
