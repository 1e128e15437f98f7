// Which spans have a text in their name, service, status, error, ids or attributes.
import type { Item } from "./model";

const haystacks = new WeakMap<Item, string>();

function haystack(item: Item): string {
  let text = haystacks.get(item);
  if (text !== undefined) return text;
  if (item.kind === "gap") {
    text = `gap ${item.from} ${item.to}`;
  } else {
    const { span } = item;
    const attributes = span.metadata === null ? "" : JSON.stringify(span.metadata);
    text = [span.operation, span.service, span.status, span.error_type, span.error_message, span.span_id.replaceAll("-", ""), attributes]
      .filter((part) => part !== null)
      .join("\n");
  }
  text = text.toLowerCase();
  haystacks.set(item, text);
  return text;
}

// Indexes of items, in order; null without a question.
export function search(items: Item[], question: string): number[] | null {
  const wanted = question.trim().toLowerCase();
  if (wanted === "") return null;
  const found: number[] = [];
  items.forEach((item, index) => {
    if (haystack(item).includes(wanted)) found.push(index);
  });
  return found;
}
