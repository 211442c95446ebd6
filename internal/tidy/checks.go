package tidy

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Fault is one breach of a law.
type Fault struct {
	File string
	Line int
	Text string
}

func (f Fault) String() string { return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Text) }

// Law is what a tree is checked against.
type Law struct {
	Floors     []Floor
	Exceptions []Exception
	Doors      []Door
}

// Check looks for breaches of one law.
type Check struct {
	Name string
	Run  func(Tree, Law) []Fault
}

// Checks is all that is checked.
var Checks = []Check{
	{"every package has a floor", everyPackageHasAFloor},
	{"imports point to floors below", importsPointDown},
	{"exceptions are needed and have a reason", exceptionsAreNeeded},
	{"doors are closed to others", doorsAreClosed},
	{"domains know nothing of the world outside", domainsAreIndoors},
	{"transactions begin in the store", transactionsBeginInTheStore},
	{"transactions are run by services", transactionsAreRunByServices},
	{"nothing is left to do", nothingIsLeftToDo},
	{"names say what is inside", namesSayWhatIsInside},
}

// floor finds the line for a folder: the longest that covers it.
func (l Law) floor(dir string) (Floor, bool) {
	var best Floor
	found := false
	for _, floor := range l.Floors {
		if covers(floor.Path, dir) && (!found || len(floor.Path) > len(best.Path)) {
			best, found = floor, true
		}
	}
	return best, found
}

func everyPackageHasAFloor(tree Tree, law Law) []Fault {
	var faults []Fault
	seen := map[string]bool{}
	for _, file := range tree.Files {
		dir := file.Dir()
		if _, found := law.floor(dir); !found && !seen[dir] {
			seen[dir] = true
			faults = append(faults, Fault{file.Path, 1, dir + " has no floor: give it a line in internal/tidy/floors.go"})
		}
	}
	return faults
}

func importsPointDown(tree Tree, law Law) []Fault {
	var faults []Fault
	for from, imports := range upward(tree, law) {
		if slices.ContainsFunc(law.Exceptions, func(e Exception) bool { return e.From == from.dir && e.To == from.to }) {
			continue
		}
		faults = append(faults, imports...)
	}
	slices.SortFunc(faults, func(a, b Fault) int { return strings.Compare(a.String(), b.String()) })
	return faults
}

// arrow is an import from one folder to another.
type arrow struct{ dir, to string }

// upward finds the imports that do not point to a floor below.
func upward(tree Tree, law Law) map[arrow][]Fault {
	found := map[arrow][]Fault{}
	for _, file := range tree.Files {
		from, known := law.floor(file.Dir())
		if file.Test || !known {
			continue
		}
		for _, imported := range file.Imports {
			to, known := law.floor(imported.Path)
			if !imported.Local || !known || to.Level < from.Level || isWithin(file.Dir(), from, imported.Path, to) {
				continue
			}
			text := fmt.Sprintf("%s (floor %d) may not import %s (floor %d)", file.Dir(), from.Level, imported.Path, to.Level)
			at := arrow{file.Dir(), imported.Path}
			found[at] = append(found[at], Fault{file.Path, imported.Line, text})
		}
	}
	return found
}

// isWithin tells whether an import stays inside what one line of floors covers:
// a package may import what is beneath it.
func isWithin(dir string, from Floor, imported string, to Floor) bool {
	return from == to && (strings.HasSuffix(from.Path, "/...") || strings.HasPrefix(imported, dir+"/"))
}

func exceptionsAreNeeded(tree Tree, law Law) []Fault {
	var faults []Fault
	needed := upward(tree, law)
	for _, e := range law.Exceptions {
		if e.Because == "" {
			faults = append(faults, Fault{e.From, 1, "the exception for " + e.To + " gives no reason"})
		}
		if len(needed[arrow{e.From, e.To}]) == 0 {
			faults = append(faults, Fault{e.From, 1, "the exception for " + e.To + " is not needed"})
		}
	}
	return faults
}

func doorsAreClosed(tree Tree, law Law) []Fault {
	var faults []Fault
	for _, file := range tree.Files {
		if file.Test {
			continue
		}
		for _, imported := range file.Imports {
			for _, door := range law.Doors {
				if covers(door.Path, imported.Path) && !door.admits(file) {
					faults = append(faults, Fault{file.Path, imported.Line, "may not import " + imported.Path + ": " + door.Reason})
				}
			}
		}
	}
	return faults
}

func (d Door) admits(file File) bool {
	named, _ := path.Match(d.Files, file.Name())
	return named || slices.ContainsFunc(d.Only, func(pattern string) bool { return covers(pattern, file.Dir()) })
}

func domainsAreIndoors(tree Tree, law Law) []Fault {
	var faults []Fault
	for _, file := range tree.Files {
		floor, _ := law.floor(file.Dir())
		if file.Test || floor.Level < core || floor.Level >= edges {
			continue
		}
		for _, imported := range file.Imports {
			if slices.ContainsFunc(domainsMayNot, func(pattern string) bool { return covers(pattern, imported.Path) }) {
				faults = append(faults, Fault{file.Path, imported.Line, "a domain may not import " + imported.Path + ": it leaves that to base plumbing"})
			}
		}
	}
	return faults
}

func transactionsBeginInTheStore(tree Tree, _ Law) []Fault {
	return calls(tree, []string{"Tx", "BeginTx", "BeginTxFunc", "BeginFunc"}, "begins a transaction by itself: use store.DB.InTx", func(file File) bool {
		return covers("internal/base/store", file.Dir()) || covers("ent/...", file.Dir())
	})
}

func transactionsAreRunByServices(tree Tree, _ Law) []Fault {
	return calls(tree, []string{"InTx"}, "runs a transaction outside a service*.go", func(file File) bool {
		return covers("internal/base/store", file.Dir()) || strings.HasPrefix(file.Name(), "service")
	})
}

// calls finds calls of methods by name in files that are not exempt.
func calls(tree Tree, methods []string, text string, exempt func(File) bool) []Fault {
	var faults []Fault
	for _, file := range tree.Files {
		if file.Test || file.Generated || exempt(file) {
			continue
		}
		for node := range ast.Preorder(file.Syntax) {
			call, isCall := node.(*ast.CallExpr)
			if !isCall {
				continue
			}
			if called, isMethod := call.Fun.(*ast.SelectorExpr); isMethod && slices.Contains(methods, called.Sel.Name) {
				faults = append(faults, Fault{file.Path, file.line(call.Pos()), text})
			}
		}
	}
	return faults
}

var leftToDo = regexp.MustCompile(`\b(TODO|FIXME|XXX)\b`)

func nothingIsLeftToDo(tree Tree, _ Law) []Fault {
	var faults []Fault
	for _, file := range tree.Files {
		if file.Generated {
			continue
		}
		for _, group := range file.Syntax.Comments {
			for _, comment := range group.List {
				if word := leftToDo.FindString(comment.Text); word != "" {
					faults = append(faults, Fault{file.Path, file.line(comment.Pos()), word + ": finish it, or say in the docs what is not there"})
				}
			}
		}
		for node := range ast.Preorder(file.Syntax) {
			if isStub(node) {
				faults = append(faults, Fault{file.Path, file.line(node.Pos()), "gqlgen's stub is still there: write the resolver"})
			}
		}
	}
	return faults
}

// isStub finds what gqlgen writes into new resolvers:
// panic(fmt.Errorf("not implemented: …")).
func isStub(node ast.Node) bool {
	call, isCall := node.(*ast.CallExpr)
	if !isCall || len(call.Args) != 1 {
		return false
	}
	if name, isName := call.Fun.(*ast.Ident); !isName || name.Name != "panic" {
		return false
	}
	made, isCall := call.Args[0].(*ast.CallExpr)
	if !isCall || len(made.Args) == 0 {
		return false
	}
	text, isText := made.Args[0].(*ast.BasicLit)
	return isText && text.Kind == token.STRING && strings.HasPrefix(text.Value, `"not implemented`)
}

func namesSayWhatIsInside(tree Tree, _ Law) []Fault {
	var faults []Fault
	for _, file := range tree.Files {
		for _, name := range append(strings.Split(file.Dir(), "/"), file.Syntax.Name.Name) {
			if slices.Contains(forbiddenNames, strings.TrimSuffix(name, "_test")) {
				faults = append(faults, Fault{file.Path, 1, name + " says nothing: name what the package is"})
				break
			}
		}
	}
	return faults
}
