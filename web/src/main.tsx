import { render } from "preact";
import "./styles/base.css";
import "./styles/parts.css";
import "./styles/execution.css";
import "./styles/waterfall.css";
import "./styles/tables.css";
import { Page } from "./app/Page";
import { applyTheme, currentTheme } from "./app/theme";

// Before the first paint, or it would flash in the other colours.
applyTheme(currentTheme(), false);
render(<Page />, document.getElementById("page")!);
