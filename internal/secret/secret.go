// Package secret keeps secrets out of what people and programs are shown: it knows them by the names of what holds them, and by a few
// forms that give them away, and puts Mask in their place.
//
// The rule, for a name: it is split into words at every sign that is neither letter nor digit and before each capital that follows a small
// letter, and is secret if a word ends in one of the endings below (DB_PASSWORD, apiKey, PGPASSWORD), or its last word is one of the last
// words (REDIS_AUTH, DB_PWD). PWD and OLDPWD are folders.
//
// The rule, for a text: a secret is the value of NAME=value, --name value or "name": "value" of such a name, the password of
// scheme://user:password@host (where there is no colon, all before the @, unless the scheme is of ssh), what follows Bearer or Basic, and
// a private key in PEM form. What stands under a harmless name in no such form is shown.
package secret

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Mask stands in the place of a secret.
const Mask = "***"

// endings make a word secret that ends so.
var endings = []string{
	"PASSWORD", "PASSWORDS", "PASSWD", "PASSPHRASE", "PASSCODE", "SECRET", "SECRETS", "TOKEN", "TOKENS", "CREDENTIAL", "CREDENTIALS", "KEY", "KEYS", "DSN",
}

// lastWords make a name secret that has one of them at its end, or is one.
var lastWords = []string{"AUTH", "COOKIE", "CREDS", "JWT", "PASS", "PIN", "PWD", "SALT"}

// folders are names that only look secret.
var folders = []string{"PWD", "OLDPWD"}

// Name tells whether what has this name is a secret: a variable, a flag, a key.
func Name(name string) bool {
	if slices.Contains(folders, name) {
		return false
	}
	words := wordsOf(name)
	for _, word := range words {
		if slices.ContainsFunc(endings, func(ending string) bool { return strings.HasSuffix(word, ending) }) {
			return true
		}
	}
	return len(words) > 0 && slices.Contains(lastWords, words[len(words)-1])
}

// wordsOf splits a name into words, in capitals.
func wordsOf(name string) []string {
	var words []string
	var word strings.Builder
	end := func() {
		if word.Len() > 0 {
			words = append(words, strings.ToUpper(word.String()))
			word.Reset()
		}
	}
	small := false
	for _, r := range name {
		isSign := !unicode.IsLetter(r) && !unicode.IsDigit(r)
		if isSign || small && unicode.IsUpper(r) {
			end()
		}
		if small = unicode.IsLower(r); !isSign {
			word.WriteRune(r)
		}
	}
	end()
	return words
}

// Value is the value of a variable as it may be shown.
func Value(name, value string) string {
	switch {
	case value == "":
		return ""
	case Name(name):
		return Mask
	}
	return Text(account.ReplaceAllString(value, "${1}:"+Mask+"@"))
}

// The forms that give a secret away. Of each the groups around the secret stay.
var (
	// account is a value that begins with user:password@, as the source names of some databases do.
	account = regexp.MustCompile(`^([^\s:/@"'=]+):[^\s"'/][^\s"']*@`)
	// login is what stands before the host of a URL.
	login = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*)://([^\s/?#"'<>@]*(?:@[^\s/?#"'<>@]*)*)@`)
	// assigned is NAME=value; a value in quotes may hold blanks.
	assigned = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_.-]*)=("[^"]*"|'[^']*'|[^\s&;,"']+)`)
	// flagged is --name value.
	flagged = regexp.MustCompile(`(^|\s)(--?[A-Za-z][A-Za-z0-9_-]*)(\s+)("[^"]*"|'[^']*'|[^\s"'-][^\s]*)`)
	// member is "name": "value" of JSON, with or without backslashes before the quotes.
	member = regexp.MustCompile(`(\\?")([A-Za-z_][A-Za-z0-9_.-]*)(\\?"\s*:\s*\\?")([^"\\]+)`)
	// bearer is the credentials in a header.
	bearer = regexp.MustCompile(`(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}`)
	// pem is a private key.
	pem = regexp.MustCompile(`(?s)(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END [A-Z ]*PRIVATE KEY-----|$)`)
)

// Text is a text as it may be shown: a line of output, a command, a reason.
func Text(text string) string {
	if strings.Contains(text, "://") && strings.Contains(text, "@") {
		text = replace(login, text, func(m []string) string { return m[1] + "://" + maskedLogin(m[1], m[2]) + "@" })
	}
	if strings.Contains(text, "=") {
		text = replace(assigned, text, func(m []string) string { return iff(Name(m[1]), m[1]+"="+Mask, m[0]) })
	}
	if strings.HasPrefix(text, "-") || strings.Contains(text, " -") {
		text = replace(flagged, text, func(m []string) string { return iff(Name(m[2]), m[1]+m[2]+m[3]+Mask, m[0]) })
	}
	if strings.Contains(text, "PRIVATE KEY") {
		text = pem.ReplaceAllString(text, "${1}"+Mask+"${2}")
	}
	if strings.Contains(text, `":`) {
		text = replace(member, text, func(m []string) string { return iff(Name(m[2]), m[1]+m[2]+m[3]+Mask, m[0]) })
	}
	if lower := strings.ToLower(text); strings.Contains(lower, "bearer ") || strings.Contains(lower, "basic ") {
		text = bearer.ReplaceAllString(text, "${1} "+Mask)
	}
	return text
}

func maskedLogin(scheme, login string) string {
	user, _, found := strings.Cut(login, ":")
	switch {
	case found:
		return user + ":" + Mask
	case strings.HasSuffix(scheme, "ssh"):
		return login
	}
	return Mask
}

// replace is ReplaceAllStringFunc with the groups of each match.
func replace(pattern *regexp.Regexp, text string, with func(groups []string) string) string {
	return pattern.ReplaceAllStringFunc(text, func(match string) string { return with(pattern.FindStringSubmatch(match)) })
}

func iff(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}

// Words are the words of a command, or entries of an environment, as they may be shown: a whole word is a secret behind NAME=, or behind
// a word that is a flag of such a name.
func Words(words []string) []string {
	if words == nil {
		return nil
	}
	shown := make([]string, len(words))
	follows := false
	for i, word := range words {
		switch name, value, found := strings.Cut(word, "="); {
		case follows && !strings.HasPrefix(word, "-"):
			shown[i] = Mask
		case found && isWord(name):
			shown[i] = name + "=" + Value(name, value)
		default:
			shown[i] = Text(word)
		}
		follows = strings.HasPrefix(word, "-") && !strings.Contains(word, "=") && Name(word)
	}
	return shown
}

// isWord tells whether what stands before an equals sign is a name: it may begin with the dashes of a flag.
func isWord(name string) bool {
	return name != "" && !strings.ContainsAny(name, " \t\n/:\"'?&")
}
