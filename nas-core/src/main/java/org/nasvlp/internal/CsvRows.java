package org.nasvlp.internal;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.Reader;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Reads separated values, row by row: by commas after RFC 4180, or by tabs, where a quote is a
 * character as any other. Empty lines are left away. Not thread-safe.
 */
public final class CsvRows implements AutoCloseable {
  private static final int END = -1;

  /** More characters in a row mean a quote that is not closed, or no table at all. */
  private static final int MAX_ROW = 1 << 22;

  private static final int MAX_COLUMNS = 1 << 12;

  /**
   * A row.
   *
   * @param line where it begins, from 1
   * @param fields at least one
   */
  public record Row(int line, List<String> fields) {}

  private final BufferedReader reader;
  private final String name;
  private final char separator;
  private int line = 1;
  private int next;
  private int length;

  /**
   * Reads nothing yet.
   *
   * @param name what messages call the text
   * @param separator comma or tab
   */
  public CsvRows(Reader reader, String name, char separator) throws IOException {
    this.reader = new BufferedReader(reader, 1 << 16);
    this.name = name;
    this.separator = separator;
    advance();
    if (next == '\uFEFF') {
      advance();
    }
  }

  /**
   * The next row; null after the last.
   *
   * @throws IOException naming the line, for a quote that is not closed, or followed by anything
   *     but a comma or the line's end, or that stands inside a field without quotes; for a row of
   *     more than 4096 columns or 4 Mi characters
   */
  public @Nullable Row next() throws IOException {
    while (next == '\r' || next == '\n') {
      endOfLine();
    }
    if (next == END) {
      return null;
    }
    int begin = line;
    length = 0;
    List<String> fields = new ArrayList<>();
    while (true) {
      fields.add(separator == ',' && next == '"' ? quoted() : plain());
      if (next != separator) {
        break;
      }
      if (fields.size() == MAX_COLUMNS) {
        throw wrong(begin, "more than " + MAX_COLUMNS + " columns; is it a table?");
      }
      count();
      advance();
    }
    endOfLine();
    return new Row(begin, List.copyOf(fields));
  }

  private String plain() throws IOException {
    StringBuilder field = new StringBuilder();
    while (next != END && next != separator && next != '\r' && next != '\n') {
      if (next == '"' && separator == ',') {
        throw wrong(line, "a quote inside a field that does not begin with one");
      }
      take(field);
    }
    return field.toString();
  }

  private String quoted() throws IOException {
    StringBuilder field = new StringBuilder();
    int opened = line;
    advance();
    while (true) {
      if (next == END) {
        throw wrong(opened, "a quote is not closed");
      }
      if (next == '"') {
        advance();
        if (next != '"') {
          break;
        }
      } else if (next == '\n') {
        line++;
      }
      take(field);
    }
    if (next != END && next != separator && next != '\r' && next != '\n') {
      throw wrong(line, "a closed quote must be followed by a comma");
    }
    return field.toString();
  }

  private void take(StringBuilder field) throws IOException {
    field.append((char) next);
    count();
    advance();
  }

  private void count() throws IOException {
    if (++length > MAX_ROW) {
      throw wrong(line, "a row of more than " + MAX_ROW + " characters; is a quote not closed?");
    }
  }

  private void endOfLine() throws IOException {
    if (next == '\r') {
      advance();
    }
    if (next == '\n') {
      advance();
    }
    line++;
  }

  private void advance() throws IOException {
    next = reader.read();
  }

  private IOException wrong(int where, String what) {
    return new IOException(name + " line " + where + ": " + what);
  }

  @Override
  public void close() throws IOException {
    reader.close();
  }
}
