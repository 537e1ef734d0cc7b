package filter

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// format writes a number or a date in a .NET format. One option is the format: the text is tried as a number, then as a
// date. With two the first says what the text is (docs: projects/variables/variable-filters#format).
func (f *Call) format() (string, bool) {
	switch len(f.Options) {
	case 1:
		if n, ok := parseDecimal(f.Text); ok {
			return n.format(f.Options[0], false)
		}
		if at, ok := f.parseDate(f.Text); ok {
			at.naive = false // a date with an offset: the server's own, where the text has none
			return at.format(f.Options[0])
		}
		return "", false
	case 2:
	default:
		return "", false
	}
	form := f.Options[1]
	switch strings.ToLower(f.Options[0]) {
	case "int", "int32":
		n, ok := parseDecimal(f.Text)
		if i, err := strconv.ParseInt(strings.TrimSpace(f.Text), 10, 32); err != nil || !ok || i > 1<<31-1 {
			return "", false
		}
		return n.format(form, true)
	case "double", "decimal":
		if n, ok := parseDecimal(f.Text); ok {
			return n.format(form, false)
		}
	case "date", "datetime":
		if at, ok := f.parseDate(f.Text); ok {
			if !at.naive {
				at.Time = at.In(f.Now.Location())
			}
			return at.format(form)
		}
	case "datetimeoffset":
		if at, ok := f.parseDate(f.Text); ok {
			at.naive = false
			return at.format(form)
		}
	}
	return "", false
}

// A decimal is an exact number: money must not come out a cent off.
type decimal struct{ *big.Rat }

// mostDigits is how many digits a number may have on each side of the point, read or asked for. A .NET decimal has 28.
const mostDigits = 100

func parseDecimal(text string) (decimal, bool) {
	text = strings.ReplaceAll(strings.TrimSpace(text), ",", "")
	if text == "" || len(text) > mostDigits || strings.Trim(text, "+-.0123456789") != "" {
		return decimal{}, false
	}
	n, ok := new(big.Rat).SetString(text)
	return decimal{n}, ok
}

// format writes a number in a standard or custom format, in en-US
// (learn.microsoft.com, "Standard numeric format strings" and "Custom numeric format strings").
func (d decimal) format(form string, whole bool) (string, bool) {
	if form == "" {
		form = "G"
	}
	kind, digits := form[0], -1
	letter := 'a' <= kind|0x20 && kind|0x20 <= 'z'
	if n, err := strconv.ParseUint(form[1:], 10, 32); err == nil {
		digits = int(n)
	} else if len(form) > 1 || !letter {
		return d.custom(form)
	}
	if !letter {
		return d.custom(form)
	}
	if digits > mostDigits {
		return "", false
	}
	precise := digits
	if precise < 0 {
		precise = 2
	}
	switch kind | 0x20 {
	case 'c':
		return d.signed(precise, "-$", "$", ""), true
	case 'n':
		return d.signed(precise, "-", "", ""), true
	case 'f':
		return d.FloatString(precise), true
	case 'p':
		hundred := decimal{new(big.Rat).Mul(d.Rat, big.NewRat(100, 1))}
		return hundred.signed(precise, "-", "", "%"), true
	case 'd', 'x':
		if !whole {
			return "", false
		}
		n := d.Num().Int64()
		if kind|0x20 == 'x' {
			text := leading(strconv.FormatUint(uint64(uint32(n)), 16), digits)
			if kind == 'X' {
				text = strings.ToUpper(text)
			}
			return text, true
		}
		if n < 0 {
			return "-" + leading(strconv.FormatInt(-n, 10), digits), true
		}
		return leading(strconv.FormatInt(n, 10), digits), true
	case 'g', 'r':
		return d.shortest(), true
	case 'e':
		if digits < 0 {
			precise = 6
		}
		return d.exponent(kind, precise), true
	}
	return "", false
}

// signed writes a number with commas, a unit and the sign where en-US has it.
func (d decimal) signed(digits int, minus, plus, end string) string {
	text := d.FloatString(digits)
	text, negative := strings.CutPrefix(text, "-")
	if negative && strings.Trim(text, "0.") != "" {
		return minus + grouped(text) + end
	}
	return plus + grouped(text) + end
}

func (d decimal) shortest() string {
	text := d.FloatString(mostDigits)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

func (d decimal) exponent(e byte, digits int) string {
	f, _ := new(big.Float).SetPrec(400).SetRat(d.Rat).Float64()
	text := strconv.FormatFloat(f, e, digits, 64)
	i := strings.IndexByte(text, e)
	return text[:i+2] + leading(text[i+2:], 3)
}

// grouped puts commas between thousands.
func grouped(text string) string {
	whole, fraction, point := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if point {
		return whole + "." + fraction
	}
	return whole
}

func leading(digits string, n int) string {
	return strings.Repeat("0", max(0, n-len(digits))) + digits
}

// custom writes a number by a picture: 0 a digit always, # a digit where there is one, comma between digits groups,
// % a hundredth; up to three pictures for positive, negative and zero. The rest is text.
func (d decimal) custom(form string) (string, bool) {
	sections := strings.Split(form, ";")
	sign := d.Sign()
	n := new(big.Rat).Abs(d.Rat)
	minus := sign < 0
	switch picture := sections[0]; {
	case sign < 0 && len(sections) > 1 && sections[1] != "":
		form, minus = sections[1], false
	case sign == 0 && len(sections) > 2 && sections[2] != "":
		form = sections[2]
	default:
		form = picture
	}
	first := strings.IndexAny(form, "0#")
	if first < 0 {
		return form, len(form) <= mostDigits
	}
	last := strings.LastIndexAny(form, "0#") + 1
	before, picture, after := form[:first], form[first:last], form[last:]
	if strings.HasSuffix(before, ".") { // ".00" has no digit before its point
		before, picture = before[:len(before)-1], "."+picture
	}
	if strings.Trim(picture, "0#.,") != "" || strings.Count(picture, ".") > 1 || len(form) > mostDigits {
		return "", false
	}
	for range strings.Count(before+after, "%") {
		n.Mul(n, big.NewRat(100, 1))
	}
	whole, fraction, _ := strings.Cut(picture, ".")
	text := new(big.Rat).Set(n).FloatString(len(fraction))
	digits, decimals, _ := strings.Cut(text, ".")
	digits = strings.TrimLeft(digits, "0")
	if i := strings.IndexByte(whole, '0'); i >= 0 {
		digits = leading(digits, strings.Count(whole[i:], "0")+strings.Count(whole[i:], "#"))
	}
	if strings.Contains(whole, ",") {
		digits = grouped(digits)
	}
	least := strings.LastIndexByte(fraction, '0') + 1
	for len(decimals) > least && strings.HasSuffix(decimals, "0") {
		decimals = decimals[:len(decimals)-1]
	}
	if decimals != "" {
		digits += "." + decimals
	}
	if minus && strings.Trim(digits, "0.,") != "" {
		before = "-" + before
	}
	return unquoted(before) + digits + unquoted(after), true
}

func unquoted(text string) string {
	return strings.NewReplacer("'", "", `"`, "", `\`, "").Replace(text)
}

// ParseNumber reads a number as .NET does: blanks around it and commas between thousands are no matter.
func ParseNumber(text string) (float64, bool) {
	text = strings.ReplaceAll(strings.TrimSpace(text), ",", "")
	if strings.Trim(text, "+-.0123456789eE") != "" { // no hexadecimal, no underscores, no "inf"
		return 0, false
	}
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil
}

// FormatNumber writes a number as .NET does: the shortest text that reads as the same number, with an exponent from 1E+15.
func FormatNumber(n float64) string {
	switch size := math.Abs(n); {
	case math.IsNaN(n):
		return "NaN"
	case math.IsInf(n, 1):
		return "∞"
	case math.IsInf(n, -1):
		return "-∞"
	case size != 0 && (size < 1e-5 || size >= 1e15):
		return strconv.FormatFloat(n, 'E', -1, 64)
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}
