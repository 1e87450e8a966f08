// Package config reads the one configuration file of mailstork.
//
// Owns: the keys, their defaults and their bounds; packaging/mailstork.yaml and the man page's section are generated
// from the struct Config.
// Never does: opening sockets, creating files, reading passwords (the file names them, it never holds them: S1).
// Failure behaviour: an unknown key, a second document or a value out of bounds is an error with file and line;
// all problems are reported at once.
package config

//go:generate go test -run TestSampleIsGeneratedFromTheStruct -update .
