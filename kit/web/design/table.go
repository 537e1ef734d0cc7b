package design

// Column is the head of a table's column.
type Column struct {
	Label  string
	Href   string // sorts by this column; "" where that is not possible
	Sorted string // "ascending", "descending" or ""
	Number bool   // figures, to the right
	Hidden bool   // the label is for screen readers: a column of buttons
}

// Chip is a filter that is on or off.
type Chip struct {
	Label, Href string
	On          bool
	Count       string // "" for none
	Status      string // shown as a dot where it is not empty
}

func numeric(n bool) string {
	if n {
		return "number-cell"
	}
	return ""
}

func sortOf(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func sortIcon(s string) string {
	if s == "ascending" {
		return "↑"
	}
	if s == "descending" {
		return "↓"
	}
	return ""
}
