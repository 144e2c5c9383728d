/** Header fields that are read by people: the whole line is the value. */
import { headerField } from '../field.js';

function textField(name: string) {
  return headerField<string>({
    name,
    read: cursor => cursor.takeRest(),
    format: value => value,
  });
}

export const UserAgent = textField('User-Agent');
export const Server = textField('Server');
export const Subject = textField('Subject');
export const Organization = textField('Organization');
